/**
 * The outbox: what a person wrote and the servers have not acknowledged. It lies on the disk, belongs to the page's origin
 * and leaves in the order of `queue.js`.
 *
 * Each tab sends what was written in it, and holds a lock as long as somebody is logged in there; who gets that lock finds
 * nobody there and takes over the items, also the same tab when one logs in again. Where locks are missing (plain http in a network) two tabs may send the same item: same id, done once.
 *
 * @typedef {import("./types.js").Item} Item
 * @typedef {import("./types.js").Success} Success
 */

import { deleteItem, outboxItems, putItem } from "./db.js";
import { drawAfter, newId } from "./ids.js";
import { Queue } from "./queue.js";
import { Refusal } from "./refusal.js";

const CHANNEL = "chat-outbox";
const TAB_LOCK = "chat-tab:";

export class Outbox {
  /** This tab's name, anew with each log-in. */
  #tab = "";
  /** The names it has had. @type {Set<string>} */
  #names = new Set();
  /** Lets go of the lock of that name. */
  #letGo = () => {};
  #queue = new Queue();
  /** Whether what lay on the disk is in the queue: nothing leaves before it. */
  #known = false;
  /** @type {string | null} */
  #user = null;
  #send;
  #changed;
  #acknowledged;
  #gone;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Tabs whose end is waited for. @type {Set<string>} */
  #watched = new Set();
  #channel = typeof BroadcastChannel === "function" ? new BroadcastChannel(CHANNEL) : null;

  /**
   * @param {object} ports
   * @param {(item: Item) => Promise<Success>} ports.send
   * @param {(items: Item[]) => void} ports.changed
   * @param {(item: Item, reply: Success) => void} ports.acknowledged
   * @param {(item: Item) => void} ports.gone acknowledged or given up: what it held elsewhere is not needed any more
   */
  constructor({ send, changed, acknowledged, gone }) {
    this.#send = send;
    this.#changed = changed;
    this.#acknowledged = acknowledged;
    this.#gone = gone;
    if (this.#channel) this.#channel.onmessage = ({ data }) => data === this.#user && void this.#reread();
  }

  /** @param {string} user */
  async open(user) {
    if (this.#user === user) return;
    this.close();
    this.#user = user;
    this.#tab = newId();
    this.#names.add(this.#tab);
    const left = new Promise((resolve) => (this.#letGo = () => resolve(undefined)));
    if (navigator.locks) void navigator.locks.request(TAB_LOCK + this.#tab, () => left);
    await this.#reread();
  }

  /** Stops sending. What waits stays on the disk, for when its writer is back. */
  close() {
    this.#user = null;
    this.#queue = new Queue();
    this.#known = false;
    this.#letGo();
    clearTimeout(this.#timer);
  }

  /**
   * @param {Item["op"]} op
   * @param {number} room
   * @param {Record<string, any>} fields
   */
  add(op, room, fields) {
    if (this.#user === null) return;
    const now = Date.now();
    /** @type {Item} */
    const item = { id: newId(), user: this.#user, room, op, fields, time: now, tab: this.#tab, state: "waiting" };
    this.#queue.add(item);
    this.#tell();
    void this.#keep(item);
    this.#pump();
  }

  /**
   * The message is there: an event said so.
   * @param {string} id
   */
  settle(id) {
    const item = this.#queue.get(id);
    if (!item || !this.#queue.settle(id)) return;
    this.#gone(item);
    void this.#drop(id);
    this.#tell();
    this.#pump();
  }

  /** @param {string} id a refused item, to be tried again */
  again(id) {
    const item = this.#queue.again(id);
    if (!item) return;
    this.#adopt(id);
    this.#tell();
    this.#pump();
  }

  /** @param {string} id a refused item that its writer gives up */
  discard(id) {
    this.settle(id);
  }

  /** A connection or a majority is back: nothing rests any longer. */
  quicken() {
    this.#queue.wakeAll();
    this.#pump();
  }

  #pump() {
    clearTimeout(this.#timer);
    if (!this.#known) return;
    for (const item of this.#queue.due(this.#tab, Date.now())) void this.#try(item);
    const wake = this.#queue.wakeAt();
    if (wake !== null) this.#timer = setTimeout(() => this.#pump(), Math.max(50, wake - Date.now()));
  }

  /** @param {Item} item */
  async #try(item) {
    const queue = this.#queue;
    queue.leaves(item.id);
    try {
      const reply = await this.#send(item);
      // Acknowledged first, then gone from here: between the two it is shown by one or the other.
      if (queue === this.#queue && queue.has(item.id)) this.#acknowledged(item, reply);
      this.settle(item.id);
    } catch (error) {
      if (queue !== this.#queue) return;
      const problem = error instanceof Refusal ? error.problem : null;
      if (problem && !problem.retry && problem.code !== "unauthorized") {
        const refused = queue.refuse(item.id, problem);
        if (refused) void this.#keep(refused);
        this.#tell();
      } else {
        queue.rest(item.id, Date.now(), problem?.retry_after_ms);
      }
      this.#pump();
    }
  }

  async #reread() {
    const user = this.#user;
    if (user === null) return;
    const items = await outboxItems(user);
    if (user !== this.#user) return;
    const there = new Set(items.map((item) => item.id));
    for (const held of this.#queue.items) {
      if (held.tab !== this.#tab && !there.has(held.id)) this.#queue.settle(held.id);
    }
    for (const item of items) {
      // One of our own that is missing here was settled a moment ago.
      if (item.tab === this.#tab) continue;
      drawAfter(item.id);
      this.#queue.add(item);
      // What this tab left behind comes before what is written now.
      if (this.#names.has(item.tab)) void this.#adopt(item.id);
      else this.#watch(item.tab);
    }
    this.#known = true;
    this.#tell();
    this.#pump();
  }

  /** @param {string} tab another one, perhaps gone */
  #watch(tab) {
    if (!navigator.locks) {
      void this.#inherit(tab);
      return;
    }
    if (this.#watched.has(tab)) return;
    this.#watched.add(tab);
    void navigator.locks.request(TAB_LOCK + tab, async () => {
      // A third tab may have been faster: what the disk says now counts.
      await this.#reread();
      await this.#inherit(tab);
      this.#watched.delete(tab);
    });
  }

  /** @param {string} tab */
  async #inherit(tab) {
    const left = this.#queue.items.filter((item) => item.tab === tab);
    await Promise.all(left.map((item) => this.#adopt(item.id)));
    this.#tell();
    this.#pump();
  }

  /** @param {string} id */
  async #adopt(id) {
    const item = this.#queue.adopt(id, this.#tab);
    if (item) await this.#keep(item);
  }

  /** @param {Item} item */
  async #keep(item) {
    const queue = this.#queue;
    await putItem(item);
    // Settled while it was being written: then it must not come back.
    if (queue === this.#queue && !queue.has(item.id)) await deleteItem(item.id);
    this.#channel?.postMessage(item.user);
  }

  /** @param {string} id */
  async #drop(id) {
    const user = this.#user;
    await deleteItem(id);
    this.#channel?.postMessage(user);
  }

  #tell() {
    this.#changed(this.#queue.items);
  }
}
