/**
 * The order in which waiting changes leave: a plain struct, no clock, no socket.
 * A room's next change leaves only after its last one is settled; a refused one steps aside for those behind it.
 *
 * @typedef {import("./types.js").Item} Item
 * @typedef {import("./types.js").Problem} Problem
 */

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 5000;

export class Queue {
  /** By id, and so by time. @type {Map<string, Item>} */
  #items = new Map();
  /** Tries under way. @type {Set<string>} */
  #flying = new Set();
  /** Not before, in milliseconds. @type {Map<string, { tries: number, at: number }>} */
  #later = new Map();

  /** @returns {Item[]} in the order of their writing */
  get items() {
    return [...this.#items.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** @param {Item} item */
  add(item) {
    const held = this.#items.get(item.id);
    // A copy read from the disk never puts a refused one back to waiting, nor the other way round, while it flies.
    if (!held || !this.#flying.has(item.id)) this.#items.set(item.id, item);
  }

  /** @param {string} id */
  has(id) {
    return this.#items.has(id);
  }

  /** @param {string} id */
  get(id) {
    return this.#items.get(id);
  }

  /**
   * What may leave now: for each room its first waiting change, unless that one is under way, resting or another tab's.
   * @param {string} tab
   * @param {number} now
   * @returns {Item[]}
   */
  due(tab, now) {
    /** @type {Set<number>} */
    const taken = new Set();
    /** @type {Item[]} */
    const out = [];
    for (const item of this.items) {
      if (item.state !== "waiting" || taken.has(item.room)) continue;
      // Tabs write at the same time; only what this tab sends has an order among itself.
      if (item.tab !== tab) continue;
      taken.add(item.room);
      if (!this.#flying.has(item.id) && (this.#later.get(item.id)?.at ?? 0) <= now) out.push(item);
    }
    return out;
  }

  /**
   * When the next resting change may leave.
   * @returns {number | null}
   */
  wakeAt() {
    const times = [...this.#later].filter(([id]) => !this.#flying.has(id)).map(([, rest]) => rest.at);
    return times.length > 0 ? Math.min(...times) : null;
  }

  /** @param {string} id */
  leaves(id) {
    this.#flying.add(id);
  }

  /**
   * Done: acknowledged, or seen as an event.
   * @param {string} id
   */
  settle(id) {
    this.#flying.delete(id);
    this.#later.delete(id);
    return this.#items.delete(id);
  }

  /**
   * Refused for good.
   * @param {string} id
   * @param {Problem} problem
   */
  refuse(id, problem) {
    this.#flying.delete(id);
    this.#later.delete(id);
    const item = this.#items.get(id);
    if (item) this.#items.set(id, { ...item, state: "failed", problem });
    return this.#items.get(id);
  }

  /**
   * Not now, or nobody knows: the same id again after a pause.
   * @param {string} id
   * @param {number} now
   * @param {number} [pause_ms] when the server said how long
   */
  rest(id, now, pause_ms) {
    this.#flying.delete(id);
    if (!this.#items.has(id)) return;
    const tries = (this.#later.get(id)?.tries ?? 0) + 1;
    const own = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (tries - 1));
    this.#later.set(id, { tries, at: now + (pause_ms ?? own) });
  }

  /** The servers are back: nobody rests. */
  wakeAll() {
    this.#later.clear();
  }

  /**
   * Puts a refused change back.
   * @param {string} id
   */
  again(id) {
    const item = this.#items.get(id);
    if (!item) return;
    const { problem: _, ...rest } = item;
    this.#items.set(id, { ...rest, state: "waiting" });
    return this.#items.get(id);
  }

  /**
   * Takes over what a tab that is gone left behind.
   * @param {string} id
   * @param {string} tab
   */
  adopt(id, tab) {
    const item = this.#items.get(id);
    if (item) this.#items.set(id, { ...item, tab });
    return this.#items.get(id);
  }
}
