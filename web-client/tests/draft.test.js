/** Drafts of two tabs of one browser. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { draftKey, dropDrafts, editKey } from "../draft.js";

function storage() {
  /** @type {Map<string, string>} */
  const held = new Map();
  return {
    getItem: (/** @type {string} */ key) => held.get(key) ?? null,
    setItem: (/** @type {string} */ key, /** @type {string} */ value) => held.set(key, value),
    removeItem: (/** @type {string} */ key) => held.delete(key),
  };
}
const put = (/** @type {string} */ name, /** @type {unknown} */ value) => Object.defineProperty(globalThis, name, { value, configurable: true });
const draft = (text = "") => ({ text, reply: null, files: [] });

/** A tab of its own: the module anew, with storage of its own beside what all share. @param {number} number */
async function tab(number) {
  const { keepDraft, readDraft } = await import(`../draft.js?tab=${number}`);
  const own = storage();
  const here = (/** @type {() => unknown} */ act) => {
    put("sessionStorage", own);
    return act();
  };
  return {
    read: () => here(() => readDraft("k").text),
    write: (text = "") => here(() => keepDraft("k", draft(text))),
  };
}

test("what one tab sends takes away no other tab's draft", async () => {
  put("localStorage", storage());
  const [first, second] = [await tab(1), await tab(2)];
  second.write("a long text");
  first.write("short one");
  first.write();
  assert.equal(second.read(), "a long text", "after a reload");
  second.write("a long text");
  first.write();
  const third = await tab(3);
  assert.equal(third.read(), "a long text", "for a tab that is opened later");
  third.write();
  assert.equal((await tab(4)).read(), "", "it goes with a tab that sends it");
});

test("with an account goes what was not sent in its name, and nobody else's", () => {
  const stored = (/** @type {Record<string, unknown>} */ kept) =>
    Object.assign(Object.create(storage()), Object.fromEntries(Object.entries(kept).map(([key, value]) => [key, JSON.stringify(value)])));
  const removed = /** @type {string[]} */ ([]);
  const file = { id: "f", name: "a", bytes: 1, type: "" };
  const held = stored({ [draftKey("ann", 7)]: { text: "x", files: [file] }, [editKey("ann", 7, 3)]: "y", [draftKey("anna", 7)]: draft("z") });
  held.getItem = (/** @type {string} */ key) => held[key] ?? null;
  held.removeItem = (/** @type {string} */ key) => removed.push(key);
  Object.defineProperty(held, "getItem", { enumerable: false });
  Object.defineProperty(held, "removeItem", { enumerable: false });
  put("localStorage", held);
  put("sessionStorage", storage());
  assert.deepEqual(dropDrafts("ann"), [file]);
  assert.deepEqual(removed, [draftKey("ann", 7), editKey("ann", 7, 3)]);
});
