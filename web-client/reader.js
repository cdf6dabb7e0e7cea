/**
 * What the page reads from the node it is connected to: histories, people, rooms to join. All of it goes into the store.
 *
 * @typedef {import("./types.js").User} User
 * @typedef {import("./types.js").Success} Success
 */

import { rest } from "./backoff.js";
import { list, readMessage, readRooms, readUser, readVersion } from "./frames.js";
import { behind, shownRun } from "./rooms.js";

const PAGE = 60;
const PAGE_MAX = 200;
const USERS_MAX = 2000;
/** So many are found by a part of a name, and so many such questions are remembered. */
const FOUND_MAX = 20;
const SOUGHT_MAX = 1000;
const QUICK_READ_MS = 5500;
const ASK_MS = 12_000;
const AGAIN_MS = 5000;
/** Between two rooms that nobody waits for. */
const AHEAD_MS = 50;
/** So long the list of public rooms is good enough while nobody uses it. */
const JOINABLE_MS_MIN = 6000;
const JOINABLE_MS_ROOM = 100;
const JOINABLE_MS_MAX = 60_000;

export class Reader {
  #store;
  #ask;
  /** Histories under way. @type {Map<string, Promise<boolean>>} */
  #loading = new Map();
  /** Whether all accounts are known. */
  #everybody = true;
  /** What was asked for by name. @type {Set<string>} */
  #sought = new Set();
  /** Whether rooms are being loaded that nobody has opened. */
  #ahead = false;
  /** When the public rooms were asked for last. */
  #listed = 0;
  /** So long they are good enough while nobody uses the list. */
  idle_ms = JOINABLE_MS_MIN;
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
   * Loads where reading begins: the newest page, or the one around the first unread message when that lies far back.
   * @param {number} room
   * @returns {Promise<boolean>} whether it came
   */
  loadFirst(room) {
    const state = this.#store.rooms.get(room);
    const unread = state && state.unread > 0 ? state.last_seq - state.read_seq : 0;
    if (state && unread > PAGE_MAX - PAGE) return this.loadAround(room, state.read_seq + 1);
    return this.#load(room, "newest", { limit: Math.max(PAGE, unread + 20) });
  }

  /**
   * @param {number} room
   * @returns {Promise<boolean>} whether it came
   */
  loadNewest(room) {
    return this.#load(room, "newest", { limit: PAGE });
  }

  /**
   * Loads a message with what stands around it.
   * @param {number} room
   * @param {number} seq
   * @returns {Promise<boolean>} whether it came
   */
  loadAround(room, seq) {
    return this.#load(room, "around", { before: seq + PAGE, limit: 2 * PAGE }, seq);
  }

  /**
   * Loads what lies above the oldest message shown.
   * @param {number} room
   * @returns {Promise<boolean>}
   */
  loadOlder(room) {
    const state = this.#store.rooms.get(room);
    const oldest = state && shownRun(state)[0]?.seq;
    if (!oldest || oldest <= 1) return Promise.resolve(false);
    return this.#load(room, "older", { before: oldest, limit: PAGE });
  }

  /**
   * Loads what lies below the newest message shown.
   * @param {number} room
   * @returns {Promise<boolean>}
   */
  loadNewer(room) {
    const state = this.#store.rooms.get(room);
    if (!state || state.anchor === null) return Promise.resolve(false);
    return this.#load(room, "newer", { after: shownRun(state).at(-1)?.seq ?? 0, limit: PAGE });
  }

  /**
   * Loads the newest messages of rooms that nobody has opened yet, one room after the other: they are written down with
   * the others, for a visit on which no server answers.
   */
  async loadAhead() {
    const { rooms, shelved } = this.#store;
    // What a node lacks that is behind our cursor, it would not tell later.
    if (this.#ahead || this.behind) return;
    this.#ahead = true;
    try {
      for (const { room } of behind(rooms.values(), shelved)) {
        const messages = messagesOf(await this.#ask("history", { room, limit: PAGE, read: "local" }, ASK_MS));
        // Who has opened it meanwhile has what they came for.
        if (room !== this.#store.current) this.#store.history(room, messages, "newest");
        this.knowUsers(messages.map(({ from }) => from));
        await rest(AHEAD_MS);
      }
    } catch {
      // The others with the next connection.
    }
    this.#ahead = false;
  }

  /**
   * Loads a message that another answers.
   * @param {number} room
   * @param {number} seq
   */
  async loadQuoted(room, seq) {
    const key = `${room} quoted ${seq}`;
    if (this.#loading.has(key)) return;
    const asked = this.#ask("history", { room, before: seq + 1, limit: 1, read: "local" }, ASK_MS).then(
      (reply) => {
        const message = readMessage(list(reply.messages)[0]);
        if (message?.seq === seq) this.#store.quote(message);
        return message?.seq === seq;
      },
      () => false,
    );
    this.#loading.set(key, asked);
    // What could not be had is asked for again a little later, when it is shown again.
    if (!(await asked)) await rest(AGAIN_MS);
    this.#loading.delete(key);
  }

  /**
   * A message as it was, oldest first, the present wording last.
   * @param {number} room
   * @param {number} seq
   * @returns {Promise<import("./types.js").Version[]>}
   */
  async versions(room, seq) {
    return list((await this.#ask("versions", { room, seq }, ASK_MS)).versions).map(readVersion);
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
   * @param {"newest" | "older" | "newer" | "around"} where
   * @param {{ before?: number, after?: number, limit: number }} page
   * @param {number} [seq] around which
   */
  #load(room, where, page, seq) {
    const key = `${room} ${where} ${page.before ?? page.after ?? ""}`;
    let under = this.#loading.get(key);
    if (!under) {
      under = this.#history(room, where, page, seq).finally(() => this.#loading.delete(key));
      this.#loading.set(key, under);
    }
    return under;
  }

  /**
   * @param {number} room
   * @param {"newest" | "older" | "newer" | "around"} where
   * @param {{ before?: number, after?: number, limit: number }} page
   * @param {number | undefined} seq
   * @returns {Promise<boolean>}
   */
  async #history(room, where, page, seq) {
    const ask = (/** @type {"linearizable" | "local"} */ read, /** @type {number} */ patience_ms) =>
      this.#ask("history", { room, ...page, read }, patience_ms);
    // Every event since the cursor comes anyway: what this node has is enough, and is there without a majority too.
    // Only a node that is behind our cursor may lack what it will not tell again.
    try {
      const reply = this.behind ? await ask("linearizable", QUICK_READ_MS).catch(() => ask("local", ASK_MS)) : await ask("local", ASK_MS);
      const messages = messagesOf(reply);
      this.#store.history(room, messages, where, seq);
      this.knowUsers(messages.map(({ from }) => from));
      if (where === "newest") await this.loadNewer(room);
      return messages.length > 0 || where === "newest" || where === "around";
    } catch {
      return false;
    }
  }

  /** Everybody here, and who is online; of very many the first ones, and the others when they are named. */
  async loadUsers() {
    /** @type {string | undefined} */
    let after;
    let seen = 0;
    this.#sought.clear();
    try {
      do {
        const reply = await this.#ask("list_users", { limit: PAGE_MAX, ...(after ? { after } : {}) }, ASK_MS);
        const users = list(reply.users).map(readUser);
        this.#store.setUsers(users);
        seen += users.length;
        const last = users.at(-1)?.name;
        after = users.length === PAGE_MAX && last !== after ? last : undefined;
      } while (after && seen < USERS_MAX);
      this.#everybody = after === undefined;
    } catch {
      // Names stand in for what is not known.
    }
  }

  /**
   * People with a part of a name, where not everybody is known.
   * @param {string} part
   * @returns {Promise<unknown> | null} null when there is nothing to be asked
   */
  findUsers(part) {
    const wanted = part.trim().toLowerCase().replace(/[*?]/g, "");
    return wanted === "" ? null : this.#seek(`*${wanted}*`, FOUND_MAX);
  }

  /** Who these are, where not everybody is known. @param {Iterable<string>} names */
  knowUsers(names) {
    for (const name of new Set(names)) if (this.#store.users.get(name)?.bare ?? !this.#store.users.has(name)) void this.#seek(name, 1);
  }

  /**
   * @param {string} match
   * @param {number} limit
   */
  #seek(match, limit) {
    if (this.#everybody || this.#sought.has(match)) return null;
    if (this.#sought.size >= SOUGHT_MAX) this.#sought.clear();
    this.#sought.add(match);
    return this.#ask("list_users", { match, limit }, ASK_MS).then(
      (reply) => this.#store.setUsers(list(reply.users).map(readUser)),
      () => this.#sought.delete(match),
    );
  }

  /**
   * The public rooms that one could join: nobody is told of a new one. Asked for when the list is used, and else seldom: the
   * more rooms there are, the less often.
   * @param {number} [fresh_ms] what came so long ago is good enough
   */
  async refreshJoinable(fresh_ms = 0) {
    if (!this.#store.me || this.#store.status.phase !== "connected" || document.hidden) return;
    if (Date.now() - this.#listed < fresh_ms) return;
    const before = this.#listed;
    this.#listed = Date.now();
    try {
      const reply = await this.#ask("list_rooms", {}, ASK_MS);
      const rooms = readRooms(reply.rooms);
      this.idle_ms = Math.min(JOINABLE_MS_MAX, Math.max(JOINABLE_MS_MIN, rooms.length * JOINABLE_MS_ROOM));
      this.#store.setJoinable(rooms);
    } catch {
      // Shown as it was.
      this.#listed = before;
    }
  }
}

/** @param {Success} reply */
function messagesOf(reply) {
  return list(reply.messages).map(readMessage).filter((message) => message !== null);
}
