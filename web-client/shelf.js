/**
 * The last messages of each room, and who is who, for a visit that begins without a server: in IndexedDB, by user, as of
 * the last moment at which they were seen. Gone when one logs out.
 *
 * @typedef {import("./types.js").Message} Message
 * @typedef {import("./types.js").User} User
 * @typedef {{ key: string, user: string, room: number, epoch: string, time: number, messages: Message[] }} Kept
 */

import { on } from "./dom.js";
import { answer, database } from "./idb.js";
import { shownRun } from "./rooms.js";

const ROOMS = "rooms";
const PEOPLE = "people";
const MESSAGES_KEPT = 60;
const ROOMS_KEPT = 200;
const ROOMS_SLACK = 50;
const PEOPLE_KEPT = 1000;
const WRITE_MS = 3000;

const open = database("chat-shelf", (db) => {
  db.createObjectStore(ROOMS, { keyPath: "key" }).createIndex("user", "user");
  db.createObjectStore(PEOPLE, { keyPath: "user" });
});

/**
 * Writes down what changes, a little later.
 * @param {import("./store.js").Store} store
 */
export function keepShelf(store) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const write = () => {
    clearTimeout(timer);
    timer = undefined;
    void writeDown(store);
  };
  store.on("touched", () => (timer ??= setTimeout(write, WRITE_MS)));
  on(document, "visibilitychange", () => document.hidden && timer && write());
}

/**
 * @param {string} user
 * @returns {Promise<{ epoch: string, messages: Map<number, Message[]>, people: User[] } | null>}
 */
export async function fromShelf(user) {
  const db = await open();
  if (!db) return null;
  try {
    const [rooms, people] = await Promise.all([
      answer(db.transaction(ROOMS).objectStore(ROOMS).index("user").getAll(user)),
      answer(db.transaction(PEOPLE).objectStore(PEOPLE).get(user)),
    ]);
    const kept = /** @type {Kept[]} */ (rooms).sort((a, b) => b.time - a.time);
    const epoch = kept[0]?.epoch ?? "";
    return { epoch, messages: new Map(kept.filter((one) => one.epoch === epoch).map((one) => [one.room, one.messages])), people: people?.people ?? [] };
  } catch {
    return null;
  }
}

/** @param {string} user */
export async function clearShelf(user) {
  const db = await open();
  if (!db) return;
  try {
    const transaction = db.transaction([ROOMS, PEOPLE], "readwrite");
    for (const key of await answer(transaction.objectStore(ROOMS).index("user").getAllKeys(user))) transaction.objectStore(ROOMS).delete(key);
    transaction.objectStore(PEOPLE).delete(user);
  } catch {
    // Nothing could be kept either.
  }
}

/** @param {import("./store.js").Store} store */
async function writeDown(store) {
  const { me, epoch } = store;
  const db = await open();
  if (!db || !me || epoch === null || store.me !== me) return;
  const touched = [...store.touched];
  store.touched.clear();
  try {
    const transaction = db.transaction([ROOMS, PEOPLE], "readwrite");
    const rooms = transaction.objectStore(ROOMS);
    for (const number of touched) {
      const key = `${me.name}/${number}`;
      const state = store.rooms.get(number);
      if (!state) rooms.delete(key);
      // Only the end of a room is kept, and only as the servers have told it.
      else if (state.loaded && !state.stale && state.anchor === null) {
        const messages = shownRun(state).slice(-MESSAGES_KEPT);
        rooms.put({ key, user: me.name, room: number, epoch, time: Date.now(), messages });
        store.shelved.set(number, messages.at(-1)?.seq ?? 0);
      }
    }
    const people = [...store.users.values()].slice(0, PEOPLE_KEPT).map(({ online: _, ...user }) => user);
    transaction.objectStore(PEOPLE).put({ user: me.name, people });
    // To read all of them is slow, so it is done for many at a time.
    const mine = rooms.index("user");
    if ((await answer(mine.count(me.name))) <= ROOMS_KEPT + ROOMS_SLACK) return;
    const all = /** @type {Kept[]} */ (await answer(mine.getAll(me.name)));
    for (const { key } of all.sort((a, b) => b.time - a.time).slice(ROOMS_KEPT)) rooms.delete(key);
  } catch {
    // Full or forbidden: the page works on without a memory.
  }
}
