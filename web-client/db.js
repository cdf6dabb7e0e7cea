/**
 * What outlives the page: the outbox in IndexedDB, with a journal in localStorage in front of it, and the small things
 * (session, nodes, drafts) in localStorage.
 *
 * IndexedDB answers late; a tab that is closed in that moment would lose what was just typed. So an item is first written
 * to localStorage, which is done when the call returns, and that copy goes once IndexedDB has it.
 *
 * @typedef {import("./types.js").Item} Item
 */

import { database, run } from "./idb.js";

const OUTBOX = "outbox";
const JOURNAL = "outbox:";
const open = database("chat", (db) => db.createObjectStore(OUTBOX, { keyPath: "id" }));

/** @param {string | null} user null for everybody's */
export async function outboxItems(user) {
  /** @type {Item[]} */
  const held = await run(open, OUTBOX, "readonly", (store) => store.getAll()).catch(() => []);
  const items = new Map(held.map((item) => [item.id, item]));
  for (const item of journal()) {
    // An item in both is the same one; IndexedDB has the later state of it.
    if (items.has(item.id)) forget(JOURNAL + item.id);
    else {
      items.set(item.id, item);
      void putItem(item);
    }
  }
  return [...items.values()].filter((item) => user === null || item.user === user).sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** @param {Item} item */
export async function putItem(item) {
  remember(JOURNAL + item.id, item);
  try {
    await run(open, OUTBOX, "readwrite", (store) => store.put(item));
    forget(JOURNAL + item.id);
  } catch {
    // The journal keeps it.
  }
}

/** @param {string} id */
export async function deleteItem(id) {
  forget(JOURNAL + id);
  await run(open, OUTBOX, "readwrite", (store) => store.delete(id)).catch(() => undefined);
  forget(JOURNAL + id);
}

/** @typedef {"localStorage" | "sessionStorage"} Where  the second is this tab's own, and survives a reload */

/**
 * @param {string} key
 * @param {Where} [where]
 * @returns {any} null when there is nothing
 */
export function recall(key, where = "localStorage") {
  try {
    const value = globalThis[where].getItem(key);
    return value === null ? null : JSON.parse(value);
  } catch {
    return null;
  }
}

/**
 * @param {string} key
 * @param {unknown} value
 * @param {Where} [where]
 */
export function remember(key, value, where = "localStorage") {
  try {
    globalThis[where].setItem(key, JSON.stringify(value));
  } catch {
    // Full or forbidden: the page works on without a memory.
  }
}

/**
 * @param {string} key
 * @param {Where} [where]
 */
export function forget(key, where = "localStorage") {
  try {
    globalThis[where].removeItem(key);
  } catch {
    // As above.
  }
}

/** @returns {Item[]} */
function journal() {
  /** @type {Item[]} */
  const found = [];
  try {
    for (let index = 0; index < localStorage.length; index++) {
      const key = localStorage.key(index);
      const item = key?.startsWith(JOURNAL) ? recall(key) : null;
      if (item) found.push(item);
    }
  } catch {
    // No localStorage, no journal.
  }
  return found;
}
