import assert from "node:assert/strict";
import { test } from "node:test";
import { drawAfter, newId } from "../ids.js";
import { byteLength, firstLine, tidied } from "../text.js";
import { dayKey, dayName, sameGroup, tightTime } from "../time.js";

test("what is sent has no white space around it that nobody sees, and keeps its inner lines", () => {
  assert.equal(tidied("\n \n  indented\n\n  more \n "), "  indented\n\n  more");
  assert.equal(tidied(" \n\t "), "");
  assert.equal(tidied("a\u0000b"), "ab");
  assert.equal(byteLength("é👍"), 6);
  assert.equal(firstLine("a\nb   c", 10), "a b c");
  assert.equal(firstLine("👍👍👍👍", 3), "👍👍…");
  assert.equal(firstLine("**see** `a*b`, @ann:\n```js\nx **= 2\n```", 40), "see a*b, @ann: x **= 2", "as it reads");
});

test("ids are UUIDv7 in rising order, also after one from a clock that was ahead", () => {
  const ids = Array.from({ length: 5000 }, newId);
  assert.deepEqual([...ids].sort(), ids);
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids.slice(0, 50)) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  const ahead = (Date.now() + 60_000).toString(16).padStart(12, "0");
  const late = `${ahead.slice(0, 8)}-${ahead.slice(8)}-7fff-8000-000000000000`;
  drawAfter(late);
  assert.ok(newId() > late);
});

test("messages stand together for five minutes on one day", () => {
  const noon = new Date(2026, 2, 3, 12, 0).getTime();
  const minute = 60_000;
  assert.equal(sameGroup({ from: "a", time: noon }, { from: "a", time: noon + 4 * minute }), true);
  assert.equal(sameGroup({ from: "a", time: noon }, { from: "a", time: noon + 5 * minute }), false);
  assert.equal(sameGroup({ from: "a", time: noon }, { from: "b", time: noon }), false);
  const midnight = new Date(2026, 2, 3, 23, 59).getTime();
  assert.equal(sameGroup({ from: "a", time: midnight }, { from: "a", time: midnight + 2 * minute }), false);
  const words = { today: "Today", yesterday: "Yesterday" };
  assert.equal(dayName(noon, noon, words), "Today");
  assert.equal(dayName(noon - 24 * 60 * minute, noon, words), "Yesterday");
  assert.notEqual(dayKey(noon), dayKey(noon - 24 * 60 * minute));
  assert.match(tightTime(noon), /^\d\d?\D\d\d$/, "without AM or PM");
});
