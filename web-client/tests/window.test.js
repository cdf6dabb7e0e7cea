/** The window of messages that an open room holds, and what is counted outside of it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { conversation } from "../pending.js";
import { applyMessage, applyRead, bound, keepQuoted, newRoom, shownRun, takeHistory, trim, WINDOW_MESSAGES } from "../rooms.js";
import { isForMe } from "../notices.js";
import { Store } from "../store.js";
import { entriesOf } from "../views/entries.js";

const LAST = 5000;
const roomWith = (read_seq = LAST) =>
  newRoom({ room: 7, name: "general", kind: "public", topic: "", users: [], member: true, last_seq: LAST, at: 1, read_seq, unread: LAST - read_seq });
const message = (/** @type {number} */ seq, more = {}) =>
  /** @type {import("../types.js").Message} */ ({
    at: 100 + seq, room: 7, seq, id: `m${seq}`, from: "bob", text: `text ${seq}`, time: seq, version: 1, edited: false, deleted: false,
    reply_to: null, reactions: {}, files: [], ...more,
  });
const page = (/** @type {number} */ from, /** @type {number} */ to) => Array.from({ length: to - from + 1 }, (_, index) => message(from + index));
const span = (/** @type {import("../types.js").RoomState} */ room) => {
  const run = shownRun(room);
  return [run[0]?.seq, run.at(-1)?.seq];
};

test("loading older ones lets go of the newest, and what arrives meanwhile is counted and not held", () => {
  const room = roomWith();
  takeHistory(room, page(LAST - 99, LAST), "newest");
  assert.equal(room.anchor, null);
  for (let first = LAST - 199; first > LAST - 1000; first -= 100) takeHistory(room, page(first, first + 99), "older");
  assert.deepEqual(span(room), [LAST - 999, LAST - 999 + WINDOW_MESSAGES - 1]);
  assert.notEqual(room.anchor, null, "the end is not among them");
  assert.equal(applyMessage(room, message(LAST + 1), "ann"), true);
  assert.equal(room.messages.has(LAST + 1), false);
  assert.deepEqual([room.last_seq, room.unread], [LAST + 1, 1]);
  const waiting = /** @type {any} */ ({ id: "w", user: "ann", room: 7, op: "send", fields: { text: "x" }, time: 1, state: "waiting" });
  const shown = conversation(room, [waiting], [], "ann");
  assert.equal(shown.at(-1)?.state, "sending", "what waits is shown wherever one reads");
  const acts = /** @type {any} */ ({ display: (/** @type {string} */ name) => name, people: () => 0 });
  const kinds = entriesOf(shown, false, null, "", () => null, acts).map(({ kind }) => kind);
  assert.deepEqual(kinds.slice(-2), ["gap", "message"], "a line says that more stands between");

  // Down again, to the end.
  while (room.anchor !== null) {
    const last = shownRun(room).at(-1)?.seq ?? 0;
    takeHistory(room, page(last + 1, Math.min(last + 100, LAST + 1)), "newer");
    assert.ok(room.messages.size <= WINDOW_MESSAGES);
  }
  assert.deepEqual(span(room), [LAST + 2 - WINDOW_MESSAGES, LAST + 1]);
  applyMessage(room, message(LAST + 2), "ann");
  assert.deepEqual(span(room), [LAST + 2 - WINDOW_MESSAGES, LAST + 2]);
});

test("a place in the middle is shown with what stands around it, and no way leads into a loop", () => {
  const room = roomWith(20);
  takeHistory(room, page(1, 80), "around", 21);
  assert.deepEqual([...span(room), room.anchor], [1, 80, 21]);
  takeHistory(room, page(4000, 4060), "around", 4030);
  assert.deepEqual(span(room), [4000, 4060], "what lies beyond a hole is let go of");
  assert.equal(room.messages.size, 61);
  takeHistory(room, [], "newer");
  assert.equal(room.anchor, null, "a node that has no more is at its end");
  takeHistory(room, page(4950, LAST), "around", 4990);
  assert.equal(room.anchor, null, "the end is among them");
});

test("a day begins with a line that names it, and no name above that line stands for a message below it", (context) => {
  context.mock.timers.enable({ apis: ["Date"], now: new Date(2026, 2, 5, 0, 30) });
  const said = [new Date(2026, 2, 3, 12), new Date(2026, 2, 4, 23, 57), new Date(2026, 2, 4, 23, 58), new Date(2026, 2, 5, 0, 1)];
  const room = roomWith();
  takeHistory(room, said.map((time, at) => message(LAST - 3 + at, { time: time.getTime() })), "newest");
  const acts = /** @type {any} */ ({ display: (/** @type {string} */ name) => name, people: () => 0 });
  const entries = entriesOf(conversation(room, [], [], "ann"), true, null, "", () => null, acts);
  const looks = entries.map((entry) => (entry.kind === "message" ? `message${entry.row.grouped ? " below" : ""}` : entry.text));
  assert.match(looks[0], /\b3\b/);
  assert.deepEqual(looks.slice(1), ["message", "Yesterday", "message", "message below", "Today", "message"]);
});

test("a room that fills while one reads is bounded around what is read", () => {
  const room = roomWith();
  takeHistory(room, page(LAST - 99, LAST), "newest");
  for (let seq = LAST + 1; seq <= LAST + 1000; seq++) applyMessage(room, message(seq), "ann");
  bound(room, LAST + 10);
  assert.equal(room.messages.size, WINDOW_MESSAGES);
  assert.ok(room.messages.has(LAST + 10));
  assert.notEqual(room.anchor, null);
  trim(room);
  assert.deepEqual([room.messages.size, room.anchor, room.loaded], [0, null, false], "left, it begins anew");
  const end = roomWith();
  takeHistory(end, page(LAST - 99, LAST), "newest");
  for (let seq = LAST + 1; seq <= LAST + 1000; seq++) applyMessage(end, message(seq), "ann");
  bound(end, null);
  assert.deepEqual([end.anchor, shownRun(end).at(-1)?.seq], [null, LAST + 1000]);
});

test("what an earlier visit left is not mixed with what is known", () => {
  const room = roomWith();
  for (const held of page(4900, 4990)) room.messages.set(held.seq, held);
  room.stale = true;
  takeHistory(room, page(4960, LAST), "newest");
  assert.deepEqual([...span(room), room.stale, room.messages.size], [4960, LAST, false, LAST - 4960 + 1]);
});

test("mentions are counted once, whatever becomes of them", () => {
  const room = roomWith();
  applyMessage(room, message(LAST + 1, { text: "@ann, look" }), "ann");
  applyMessage(room, message(LAST + 2, { text: "@anna, look" }), "ann");
  applyMessage(room, message(LAST + 3, { text: "@ANN." }), "ann");
  applyMessage(room, message(LAST + 4, { text: "@ann", from: "ann" }), "ann");
  assert.deepEqual([room.unread, room.mentions], [3, 2]);
  applyMessage(room, message(LAST + 1, { at: 99_999, text: "nobody" }), "ann");
  assert.equal(room.mentions, 1, "edited away");
  applyMessage(room, message(LAST + 3, { at: 99_999, deleted: true, text: "" }), "ann");
  assert.equal(room.mentions, 0, "deleted");
  applyMessage(room, message(LAST + 5, { text: "@ann" }), "ann");
  applyRead(room, LAST + 5, "ann");
  assert.deepEqual([room.unread, room.mentions], [0, 0]);
});

test("what was read is no longer counted, also where one's own messages behind it are not held", () => {
  const room = roomWith(0);
  // Every fifth is one's own, and the servers do not count it.
  room.unread = (LAST * 4) / 5;
  takeHistory(room, page(1, 100).map((one) => (one.seq % 5 === 0 ? { ...one, from: "ann" } : one)), "around", 1);
  applyRead(room, 100, "ann");
  assert.equal(room.unread, ((LAST - 100) * 4) / 5);
});

test("quoted messages are held apart, as they are now, and not without end", () => {
  const room = roomWith();
  for (let seq = 1; seq <= 300; seq++) keepQuoted(room, message(seq));
  assert.equal(room.quoted.size, 200);
  takeHistory(room, page(LAST - 10, LAST), "newest");
  applyMessage(room, message(300, { at: 99_999, text: "better" }), "ann");
  assert.equal(room.quoted.get(300)?.text, "better");
});

test("muted rooms count for nothing, and nobody is told of them", () => {
  const store = new Store();
  const room = roomWith(LAST - 5);
  store.rooms.set(7, room);
  room.mentions = 2;
  assert.deepEqual(store.unread, { count: 5, mentions: 2 });
  const called = message(LAST + 1, { text: "@ann" });
  assert.equal(isForMe(called, room, "ann"), true);
  assert.equal(isForMe(message(LAST + 1), room, "ann"), false);
  assert.equal(isForMe(message(LAST + 1), { ...room, kind: "direct" }, "ann"), true);
  store.setMuted(7, true);
  assert.deepEqual(store.unread, { count: 0, mentions: 0 });
  assert.equal(isForMe(called, room, "ann"), false);
});
