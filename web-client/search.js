/** Looking for messages: asks the servers page by page for what the filters mean. */

import { list, readMessage } from "./frames.js";
import { readQuery } from "./query.js";
import { problemOf } from "./refusal.js";

const PAGE = 20;

/**
 * @typedef {import("./types.js").Message} Message
 * @typedef {{ message: Message, hit: [number, number][] }} Hit
 * @typedef {{ hits: Hit[], more: boolean, partial: boolean, problem: import("./types.js").Problem | "no word" | "no room" | null }} Page
 */

export class Search {
  #ask;
  #rooms;
  #me;
  /** What was asked for last; an answer to anything else comes too late. */
  #typed = "";
  /** @type {number | null} */
  #before = null;

  /**
   * @param {object} ports
   * @param {(op: string, fields: Record<string, unknown>) => Promise<Record<string, any>>} ports.ask
   * @param {() => { room: number, title: string }[]} ports.rooms the person's own
   * @param {() => string} ports.me
   */
  constructor({ ask, rooms, me }) {
    this.#ask = ask;
    this.#rooms = rooms;
    this.#me = me;
  }

  /**
   * @param {string} typed
   * @param {boolean} [further] the next page of the same
   * @returns {Promise<Page | null>} null when something else was asked for meanwhile
   */
  async find(typed, further = false) {
    if (!further) this.#before = null;
    this.#typed = typed;
    const query = readQuery(typed);
    const none = { hits: [], more: false, partial: false };
    if (query.text === "") return { ...none, problem: "no word" };
    const fields = { text: query.text, limit: PAGE };
    if (query.before !== null) Object.assign(fields, { before_time: query.before });
    if (query.from !== null) Object.assign(fields, { from: query.from === "me" ? this.#me() : query.from });
    if (query.room !== null) {
      const wanted = query.room.toLowerCase();
      const room = this.#rooms().find(({ title }) => title.toLowerCase() === wanted) ?? this.#rooms().find(({ title }) => title.toLowerCase().startsWith(wanted));
      if (!room) return { ...none, problem: "no room" };
      Object.assign(fields, { room: room.room });
    }
    if (this.#before !== null) Object.assign(fields, { before: this.#before });
    try {
      const reply = await this.#ask("search", fields);
      if (this.#typed !== typed) return null;
      const hits = list(reply.messages).flatMap(readHit);
      const last = hits.at(-1);
      if (last) this.#before = last.message.at;
      return { hits, more: reply.more === true && last !== undefined, partial: reply.partial === true, problem: null };
    } catch (error) {
      return this.#typed === typed ? { ...none, problem: problemOf(error) } : null;
    }
  }
}

/**
 * @param {any} from
 * @returns {Hit[]}
 */
function readHit(from) {
  const message = readMessage(from);
  const pairs = list(from?.hit).filter((pair) => Array.isArray(pair) && pair.length === 2 && pair.every(Number.isInteger));
  return message ? [{ message, hit: pairs }] : [];
}
