import assert from "node:assert/strict";
import { test } from "node:test";
import { Queue } from "../queue.js";

const item = (/** @type {string} */ id, /** @type {number} */ room, tab = "t") =>
  /** @type {import("../types.js").Item} */ ({ id, user: "ann", room, op: "send", fields: { text: id }, time: 0, tab, state: "waiting" });
const ids = (/** @type {{ id: string }[]} */ items) => items.map(({ id }) => id);
const refused = { code: "forbidden", message: "", retry: false };

/** @param {...import("../types.js").Item} items */
function queueOf(...items) {
  const queue = new Queue();
  for (const one of items) queue.add(one);
  return queue;
}

test("a room's next message leaves after its last one is settled; rooms do not wait for each other", () => {
  const queue = queueOf(item("1", 7), item("2", 7), item("3", 8));
  assert.deepEqual(ids(queue.due("t", 0)), ["1", "3"]);
  queue.leaves("1");
  assert.deepEqual(ids(queue.due("t", 0)), ["3"], "2 waits while 1 is under way");
  queue.settle("1");
  assert.deepEqual(ids(queue.due("t", 0)), ["2", "3"]);
});

test("the order is that of writing, however the items came in", () => {
  assert.deepEqual(ids(queueOf(item("3", 7), item("1", 7), item("2", 7)).items), ["1", "2", "3"]);
});

test("an unknown outcome rests, keeps its place and is tried again under the same id", () => {
  const queue = queueOf(item("1", 7), item("2", 7));
  queue.leaves("1");
  queue.rest("1", 1000);
  assert.deepEqual(ids(queue.due("t", 1000)), []);
  assert.equal(queue.wakeAt(), 2000);
  assert.deepEqual(ids(queue.due("t", 2000)), ["1"]);
  queue.leaves("1");
  queue.rest("1", 2000, 300);
  assert.equal(queue.wakeAt(), 2300, "the server's own word counts");
  queue.wakeAll();
  assert.deepEqual(ids(queue.due("t", 2001)), ["1"]);
});

test("a refused message steps aside, stays, and can be tried again", () => {
  const queue = queueOf(item("1", 7), item("2", 7));
  queue.leaves("1");
  queue.refuse("1", refused);
  assert.equal(queue.get("1")?.state, "failed");
  assert.deepEqual(ids(queue.due("t", 0)), ["2"]);
  queue.again("1");
  assert.equal(queue.get("1")?.problem, undefined);
  assert.deepEqual(ids(queue.due("t", 0)), ["1"]);
});

test("each tab sends its own, until one takes over what another left", () => {
  const queue = queueOf(item("1", 7, "gone"), item("2", 7));
  assert.deepEqual(ids(queue.due("t", 0)), ["2"]);
  queue.adopt("1", "t");
  assert.deepEqual(ids(queue.due("t", 0)), ["1"]);
});

test("a copy from the disk does not disturb a try under way", () => {
  const queue = queueOf(item("1", 7));
  queue.leaves("1");
  queue.add({ ...item("1", 7), state: "failed", problem: refused });
  assert.equal(queue.get("1")?.state, "waiting");
});
