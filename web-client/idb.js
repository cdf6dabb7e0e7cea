/** IndexedDB as this page uses it: small databases of one version, each opened once. */

/** @typedef {() => Promise<IDBDatabase | null>} Open  null when the browser has none for us */

/**
 * @param {string} name
 * @param {(db: IDBDatabase) => void} make makes its stores
 * @returns {Open}
 */
export function database(name, make) {
  /** @type {Promise<IDBDatabase | null> | null} */
  let opened = null;
  return () => (opened ??= new Promise((resolve) => {
    try {
      const request = indexedDB.open(name, 1);
      request.onupgradeneeded = () => make(request.result);
      request.onsuccess = () => {
        request.result.onversionchange = () => request.result.close();
        resolve(request.result);
      };
      request.onerror = request.onblocked = () => resolve(null);
    } catch {
      resolve(null);
    }
  }));
}

/**
 * Asks one thing of one store.
 * @template T
 * @param {Open} open
 * @param {string} store
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<T>} ask
 * @returns {Promise<T>} once it is on the disk; rejects when there is no database or no room
 */
export async function run(open, store, mode, ask) {
  const db = await open();
  if (!db) throw new TypeError("no database");
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(store, mode, { durability: "strict" });
    const request = ask(transaction.objectStore(store));
    transaction.oncomplete = () => resolve(request.result);
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
}

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
export function answer(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
