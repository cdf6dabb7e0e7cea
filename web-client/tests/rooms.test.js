import assert from "node:assert/strict";
import { test } from "node:test";
import { conversation, overlaid } from "../pending.js";
import { applyMessage, applyRead, firstUnread, KEPT_MESSAGES, mergeHistory, newRoom, shownRun, trim } from "../rooms.js";

const roomWith = (/** @type {number} */ last_seq, read_seq = last_seq) =>
  newRoom({ room: 7, name: "general", kind: "public", topic: "", users: [], member: true, last_seq, at: 1, read_seq, unread: last_seq - read_seq });
const message = (/** @type {number} */ seq, more = {}) =>
  /** @type {import("../types.js").Message} */ ({
    at: 100 + seq, room: 7, seq, id: `m${seq}`, from: "bob", text: `text ${seq}`, time: seq, version: 1, edited: false, deleted: false,
    reply_to: null, reactions: {}, files: [], ...more,
  });
const item = (/** @type {string} */ id, /** @type {any} */ op, /** @type {any} */ fields, more = {}) =>
  /** @type {import("../types.js").Item} */ ({ id, user: "ann", room: 7, op, fields, time: 5, tab: "t", state: "waiting", ...more });
const seqs = (/** @type {{ seq: number }[]} */ all) => all.map(({ seq }) => seq);

test("the higher `at` wins, and seeing a state twice does no harm", () => {
  const room = roomWith(0);
  assert.equal(applyMessage(room, message(1), "ann"), true);
  assert.equal(applyMessage(room, message(1, { at: 200, text: "newer" }), "ann"), false);
  applyMessage(room, message(1), "ann");
  mergeHistory(room, [message(1)]);
  assert.equal(room.messages.get(1)?.text, "newer");
  assert.equal(room.unread, 1);
});

test("unread counts others' messages; one's own and deleted ones are not among them", () => {
  const room = roomWith(2);
  applyMessage(room, message(3), "ann");
  applyMessage(room, message(4, { from: "ann" }), "ann");
  applyMessage(room, message(5), "ann");
  assert.equal(room.unread, 2);
  assert.equal(firstUnread(room), 3);
  applyMessage(room, message(5, { at: 300, deleted: true }), "ann");
  assert.equal(room.unread, 1);
  applyRead(room, 3, "ann");
  assert.equal(room.unread, 0);
  applyRead(room, 1, "ann");
  assert.equal(room.read_seq, 3, "a mark never goes back");
});

test("what a hello counted is not counted again by the events that follow", () => {
  const room = roomWith(5, 2);
  for (const seq of [3, 4, 5]) applyMessage(room, message(seq), "ann");
  assert.equal(room.unread, 3);
});

test("the run that is shown ends with the newest and stops at a hole", () => {
  const room = roomWith(0);
  for (const seq of [1, 2, 5, 6]) applyMessage(room, message(seq), "ann");
  assert.deepEqual(seqs(shownRun(room)), [5, 6]);
  mergeHistory(room, [message(3), message(4)]);
  assert.deepEqual(seqs(shownRun(room)), [1, 2, 3, 4, 5, 6]);
});

test("a room that nobody looks at keeps its newest messages only", () => {
  const room = roomWith(0);
  for (let seq = 1; seq <= KEPT_MESSAGES + 50; seq++) applyMessage(room, message(seq), "ann");
  trim(room);
  assert.equal(room.messages.size, KEPT_MESSAGES);
  assert.equal(shownRun(room)[0].seq, 51);
});

test("waiting messages stand at the end under the key they keep when they are sent", () => {
  const room = roomWith(0);
  applyMessage(room, message(1), "ann");
  const waiting = item("w1", "send", { text: "hello" });
  const before = conversation(room, [waiting], [], "ann");
  assert.deepEqual(before.map(({ state }) => state), ["sent", "sending"]);
  const acknowledged = conversation(room, [], [waiting], "ann");
  assert.deepEqual(acknowledged.map(({ state }) => state), ["sent", "sent"]);
  applyMessage(room, message(2, { id: "w1", from: "ann", text: "hello" }), "ann");
  // The event came before the reply: once, and sent.
  const after = conversation(room, [waiting], [waiting], "ann");
  assert.deepEqual(after.map(({ key, state }) => [key, state]), [["bob m1", "sent"], ["ann w1", "sent"]]);
  assert.equal(before[1].key, after[1].key);
});

test("edits, deletions and reactions are shown before they are acknowledged; a refused one is not", () => {
  const room = roomWith(0);
  applyMessage(room, message(1, { reactions: { "👍": ["bob"] } }), "ann");
  const edit = item("e", "edit", { seq: 1, text: "better" });
  const react = item("r", "react", { seq: 1, emoji: "👍", on: true });
  const [shown] = conversation(room, [edit, react], [], "ann");
  assert.equal(shown.message.text, "better");
  assert.deepEqual(shown.message.reactions, { "👍": ["bob", "ann"] });
  assert.equal(shown.state, "sending");
  const [failed] = conversation(room, [{ ...edit, state: "failed" }], [], "ann");
  assert.equal(failed.message.text, "text 1");
  assert.equal(failed.state, "failed");
  const gone = overlaid(message(1), item("d", "delete", { seqs: [1] }), "ann");
  assert.deepEqual([gone.deleted, gone.text], [true, ""]);
  const none = overlaid(message(1, { reactions: { "👍": ["ann"] } }), item("r", "react", { seq: 1, emoji: "👍", on: false }), "ann");
  assert.deepEqual(none.reactions, {});
});
