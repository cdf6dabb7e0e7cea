/**
 * The bytes of files that wait to be sent, in IndexedDB: they survive a reload as the message does that holds them.
 *
 * @typedef {object} Kept
 * @property {string} id our own, for as long as it waits
 * @property {string} name
 * @property {Blob} blob
 * @property {number} time when it was chosen
 */

const DATABASE = "chat-files";
const STORE = "blobs";

/** @type {Promise<IDBDatabase | null> | null} */
let opened = null;

/**
 * @param {Kept} kept
 * @returns {Promise<boolean>} whether it is on the disk
 */
export const putBlob = async (kept) => (await run("readwrite", (store) => store.put(kept))) !== null;

/**
 * @param {string} id
 * @returns {Promise<Kept | null>}
 */
export const getBlob = async (id) => (await run("readonly", (store) => store.get(id))) ?? null;

/** @param {string} id */
export const deleteBlob = (id) => run("readwrite", (store) => store.delete(id));

/**
 * Lets go of what no message and no draft names any more.
 * @param {(id: string) => boolean} wanted
 * @param {number} before Unix milliseconds; what is newer may just be about to be named
 */
export async function tidyBlobs(wanted, before) {
  const ids = await run("readonly", (store) => store.getAllKeys());
  for (const id of ids ?? []) {
    if (wanted(String(id))) continue;
    const kept = await getBlob(String(id));
    if (kept && kept.time < before) await deleteBlob(kept.id);
  }
}

/**
 * @template Result
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<Result>} ask
 * @returns {Promise<Result | null>} null when there is no room or no database; the page then holds the bytes while it is open
 */
async function run(mode, ask) {
  const db = await database();
  if (!db) return null;
  return new Promise((resolve) => {
    try {
      const transaction = db.transaction(STORE, mode);
      const request = ask(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = transaction.onabort = () => resolve(null);
    } catch {
      resolve(null);
    }
  });
}

function database() {
  opened ??= new Promise((resolve) => {
    try {
      const request = indexedDB.open(DATABASE, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id" });
      request.onsuccess = () => resolve(request.result);
      request.onerror = request.onblocked = () => resolve(null);
    } catch {
      resolve(null);
    }
  });
  return opened;
}
