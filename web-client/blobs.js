/**
 * The bytes of files that wait to be sent, in IndexedDB: they survive a reload as the message does that holds them.
 *
 * @typedef {object} Kept
 * @property {string} id our own, for as long as it waits
 * @property {string} name
 * @property {Blob} blob
 * @property {number} time when it was chosen
 */

import { database, run } from "./idb.js";

const STORE = "blobs";
const open = database("chat-files", (db) => db.createObjectStore(STORE, { keyPath: "id" }));

/**
 * Without a database, or room in it, the page holds the bytes while it is open.
 * @param {Kept} kept
 * @returns {Promise<boolean>} whether it is on the disk
 */
export const putBlob = (kept) => run(open, STORE, "readwrite", (store) => store.put(kept)).then(() => true, () => false);

/**
 * @param {string} id
 * @returns {Promise<Kept | null>}
 */
export const getBlob = (id) => run(open, STORE, "readonly", (store) => store.get(id)).catch(() => null);

/** @param {string} id */
export const deleteBlob = (id) => run(open, STORE, "readwrite", (store) => store.delete(id)).catch(() => undefined);

/**
 * Lets go of what no message and no draft names any more.
 * @param {(id: string) => boolean} wanted
 * @param {number} before Unix milliseconds; what is newer may just be about to be named
 */
export async function tidyBlobs(wanted, before) {
  const ids = await run(open, STORE, "readonly", (store) => store.getAllKeys()).catch(() => []);
  for (const id of ids) {
    if (wanted(String(id))) continue;
    const kept = await getBlob(String(id));
    if (kept && kept.time < before) await deleteBlob(kept.id);
  }
}
