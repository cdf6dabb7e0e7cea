/** The outbox with a disk and locks that live in memory. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Outbox } from "../outbox.js";
import { noAnswer } from "../refusal.js";

/** @type {Map<string, string>} */
const disk = new Map();
/** Who holds or waits for which lock. @type {Map<string, Promise<unknown>>} */
const locks = new Map();
const stubs = {
  localStorage: {
    get length() {
      return disk.size;
    },
    key: (/** @type {number} */ index) => [...disk.keys()][index] ?? null,
    getItem: (/** @type {string} */ key) => disk.get(key) ?? null,
    setItem: (/** @type {string} */ key, /** @type {string} */ value) => disk.set(key, value),
    removeItem: (/** @type {string} */ key) => disk.delete(key),
  },
  navigator: {
    locks: {
      request(/** @type {string} */ name, /** @type {() => unknown} */ held) {
        const turn = (locks.get(name) ?? Promise.resolve()).then(held);
        locks.set(name, turn);
        return turn;
      },
    },
  },
  BroadcastChannel: undefined,
};
for (const [name, value] of Object.entries(stubs)) Object.defineProperty(globalThis, name, { value, configurable: true });

/** A tab's outbox. While `online` is false, what it sends gets no answer. */
function tab() {
  const state = { online: false, sent: /** @type {string[]} */ ([]), shown: /** @type {string[]} */ ([]) };
  const outbox = new Outbox({
    async send(item) {
      if (!state.online) throw noAnswer();
      state.sent.push(item.fields.text);
      return { re: item.id, ok: true, seq: state.sent.length, at: 1 };
    },
    changed: (items) => (state.shown = items.map((item) => item.fields.text)),
    acknowledged: () => {},
    gone: () => {},
  });
  return { outbox, state };
}
const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

test("what waited when one was logged out is sent first after logging in again in the same tab", async () => {
  const { outbox, state } = tab();
  await outbox.open("ann");
  outbox.add("send", 7, { text: "waiting" });
  await settled();
  outbox.close();
  await outbox.open("ann");
  assert.deepEqual(state.shown, ["waiting"]);
  state.online = true;
  outbox.add("send", 7, { text: "later" });
  outbox.quicken();
  await settled();
  assert.deepEqual(state.sent, ["waiting", "later"]);
  outbox.close();
});

test("nothing overtakes what waits, also while that is still being read", async () => {
  const { outbox, state } = tab();
  await outbox.open("eve");
  outbox.add("send", 7, { text: "waiting" });
  await settled();
  outbox.close();
  state.online = true;
  void outbox.open("eve");
  outbox.add("send", 7, { text: "later" });
  outbox.quicken();
  await settled();
  assert.deepEqual(state.sent, ["waiting", "later"]);
  outbox.close();
});

test("another tab in which one logs in sends what waits in one that is logged out, and leaves alone what another sends", async () => {
  const [first, second] = [tab(), tab()];
  await first.outbox.open("bob");
  first.outbox.add("send", 7, { text: "of the first tab" });
  await settled();
  await second.outbox.open("bob");
  second.state.online = true;
  second.outbox.quicken();
  await settled();
  assert.deepEqual(second.state.sent, []);
  first.outbox.close();
  await settled();
  assert.deepEqual(second.state.sent, ["of the first tab"]);
  second.outbox.close();
  assert.equal([...disk.values()].some((item) => item.includes("first tab")), false);
});
