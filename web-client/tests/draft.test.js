/** Drafts of two tabs of one browser. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { draftKey, dropDrafts, editKey, keepDraft, readDraft } from "../draft.js";

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

test("what one tab sends takes away no other tab's draft", () => {
  const [first, second, third] = [storage(), storage(), storage()];
  put("localStorage", storage());
  put("sessionStorage", second);
  keepDraft("k", draft("a long text"));
  put("sessionStorage", first);
  keepDraft("k", draft("short one"));
  keepDraft("k", draft());
  put("sessionStorage", second);
  assert.equal(readDraft("k").text, "a long text", "after a reload");
  keepDraft("k", readDraft("k"));
  put("sessionStorage", first);
  keepDraft("k", draft());
  put("sessionStorage", third);
  assert.equal(readDraft("k").text, "a long text", "for a tab that is opened later");
  keepDraft("k", draft());
  put("sessionStorage", storage());
  assert.equal(readDraft("k").text, "", "it goes with the tab that sends it");
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
