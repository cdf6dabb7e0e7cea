import assert from "node:assert/strict";
import { test } from "node:test";
import { Refusal } from "../refusal.js";
import { Search } from "../search.js";

const message = (/** @type {number} */ at, /** @type {number} */ time) => ({ room: 1, seq: at, at, id: `m${at}`, from: "ann", text: "a heron", time, version: 1, hit: [[2, 7]] });

/** @param {(fields: any) => any} answer */
function searching(answer) {
  const asked = /** @type {any[]} */ ([]);
  const search = new Search({
    ask: async (op, fields) => {
      assert.equal(op, "search");
      asked.push(fields);
      return answer(fields);
    },
    rooms: () => [{ room: 7, title: "General" }, { room: 8, title: "general talk" }],
    me: () => "ann",
  });
  return { search, asked };
}

test("filters become fields, a room by its name and me by mine", async () => {
  const { search, asked } = searching(() => ({ messages: [message(5, 0)], more: false }));
  const page = await search.find("heron in:general from:me");
  assert.deepEqual(asked, [{ text: "heron", limit: 20, from: "ann", room: 7 }]);
  assert.deepEqual(page?.hits.map(({ message: found, hit }) => [found.seq, hit]), [[5, [[2, 7]]]]);
  await search.find("heron in:\"general t\"");
  assert.equal(asked[1].room, 8);
  assert.equal((await search.find("heron in:nowhere"))?.problem, "no room");
  assert.equal((await search.find("in:general"))?.problem, "no word");
  assert.equal(asked.length, 2, "and what cannot be answered is not asked");
});

test("looking further goes on behind the last hit", async () => {
  const { search, asked } = searching(({ before = 100 }) => ({ messages: [message(before - 1, 0), message(before - 2, 0)], more: true }));
  assert.equal((await search.find("heron"))?.more, true);
  await search.find("heron", true);
  assert.deepEqual(asked.map((fields) => fields.before), [undefined, 98]);
  await search.find("another");
  assert.equal(asked[2].before, undefined);
});

test("a date is for the servers, on every page", async () => {
  const { search, asked } = searching(({ before = 1000 }) => ({ messages: [message(before - 1, 0)], more: true }));
  assert.equal((await search.find("heron before:2026-03-11"))?.more, true);
  await search.find("heron before:2026-03-11", true);
  const fields = { text: "heron", limit: 20, before_time: new Date(2026, 2, 11).getTime() };
  assert.deepEqual(asked, [fields, { ...fields, before: 999 }]);
});

test("an answer that was overtaken is left out, and a refusal is told", async () => {
  /** @type {((value: any) => void)[]} */
  const waiting = [];
  const { search } = searching(() => new Promise((resolve) => waiting.push(resolve)));
  const first = search.find("one");
  const second = search.find("two");
  waiting[1]({ messages: [message(1, 0)], more: false });
  assert.equal((await second)?.hits.length, 1);
  waiting[0]({ messages: [], more: false });
  assert.equal(await first, null);
  const refused = searching(() => {
    throw new Refusal({ code: "bad_request", message: "unknown op", retry: false });
  });
  assert.deepEqual((await refused.search.find("x"))?.problem, { code: "bad_request", message: "unknown op", retry: false });
});
