/**
 * What the page reads from the node it is connected to: histories, people, rooms to join. All of it goes into the store.
 *
 * @typedef {import("./types.js").User} User
 * @typedef {import("./types.js").Success} Success
 */

import { list, readMessage, readRoom, readUser } from "./frames.js";
import { shownRun } from "./rooms.js";

const PAGE = 50;
const PAGE_MAX = 200;
const USERS_MAX = 2000;
const QUICK_READ_MS = 5500;
const ASK_MS = 12_000;

export class Reader {
  #store;
  #ask;
  /** Histories under way. @type {Map<string, Promise<boolean>>} */
  #loading = new Map();
  /** Whether the node had not yet come as far as we had. */
  behind = false;

  /**
   * @param {import("./store.js").Store} store
   * @param {(op: string, fields: Record<string, unknown>, patience_ms: number) => Promise<Success>} ask
   */
  constructor(store, ask) {
    this.#store = store;
    this.#ask = ask;
  }

  /**
   * Loads the newest page of a room, far enough back to hold what is unread.
   * @param {number} room
   * @returns {Promise<boolean>} whether it came
   */
  loadNewest(room) {
    const state = this.#store.rooms.get(room);
    const limit = Math.min(PAGE_MAX, Math.max(PAGE, (state?.unread ?? 0) + 20));
    return this.#load(room, { limit }, true);
  }

  /**
   * Loads what lies above the oldest message shown.
   * @param {number} room
   * @param {number} [limit]
   * @returns {Promise<boolean>}
   */
  loadOlder(room, limit = PAGE) {
    const state = this.#store.rooms.get(room);
    const oldest = state && shownRun(state)[0]?.seq;
    if (!oldest || oldest <= 1) return Promise.resolve(false);
    return this.#load(room, { before: oldest, limit }, false);
  }

  /** @param {number} room @returns {Promise<User[]>} */
  async members(room) {
    const reply = await this.#ask("members", { room }, ASK_MS);
    const users = list(reply.users).map(readUser);
    this.#store.setUsers(users.map((user) => ({ ...user, online: user.online ?? this.#store.users.get(user.name)?.online ?? false })));
    return users;
  }

  /**
   * @param {number} room
   * @param {{ before?: number, limit: number }} where
   * @param {boolean} newest
   */
  #load(room, where, newest) {
    const key = `${room} ${where.before ?? "end"}`;
    let under = this.#loading.get(key);
    if (!under) {
      under = this.#history(room, where, newest).finally(() => this.#loading.delete(key));
      this.#loading.set(key, under);
    }
    return under;
  }

  /**
   * @param {number} room
   * @param {{ before?: number, limit: number }} where
   * @param {boolean} newest
   * @returns {Promise<boolean>}
   */
  async #history(room, where, newest) {
    const ask = (/** @type {"linearizable" | "local"} */ read, /** @type {number} */ patience_ms) =>
      this.#ask("history", { room, ...where, read }, patience_ms);
    // Every event since the cursor comes anyway: what this node has is enough, and is there without a majority too.
    // Only a node that is behind our cursor may lack what it will not tell again.
    try {
      const reply = this.behind ? await ask("linearizable", QUICK_READ_MS).catch(() => ask("local", ASK_MS)) : await ask("local", ASK_MS);
      const messages = list(reply.messages).map(readMessage).filter((message) => message !== null);
      this.#store.history(room, messages, newest);
      return true;
    } catch {
      return false;
    }
  }

  /** Everybody here, and who is online. */
  async loadUsers() {
    /** @type {string | undefined} */
    let after;
    let seen = 0;
    try {
      do {
        const reply = await this.#ask("list_users", { limit: PAGE_MAX, ...(after ? { after } : {}) }, ASK_MS);
        const users = list(reply.users).map(readUser);
        this.#store.setUsers(users);
        seen += users.length;
        const last = users.at(-1)?.name;
        after = users.length > 0 && last !== after ? last : undefined;
      } while (after && seen < USERS_MAX);
    } catch {
      // Names stand in for what is not known.
    }
  }

  /** The public rooms that one could join: nobody is told of a new one. */
  async refreshJoinable() {
    if (!this.#store.me || this.#store.status.phase !== "connected" || document.visibilityState === "hidden") return;
    try {
      const reply = await this.#ask("list_rooms", {}, ASK_MS);
      this.#store.setJoinable(list(reply.rooms).map(readRoom).filter((room) => room !== null));
    } catch {
      // Shown as it was.
    }
  }
}
