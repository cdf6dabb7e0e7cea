/**
 * The one store: state in, news out. Only the connection's events and the person's own acts change it;
 * views listen to the topics below and read what they need.
 *
 * Topics: `session` (in or out), `anew` (what is held has to be loaded again), `status`, `rooms` (the list, counts, the public rooms), `users`, `current` (another room
 * is open), `arrived` (somebody else's new message, as `detail`), `touched` (there is something to write down), and for each
 * room `room:N` (its messages), `members:N` (somebody came or went) and `typing:N`.
 *
 * @typedef {import("./types.js").RoomState} RoomState
 * @typedef {import("./types.js").Room} Room
 * @typedef {import("./types.js").User} User
 * @typedef {import("./types.js").Message} Message
 * @typedef {import("./types.js").Item} Item
 * @typedef {import("./types.js").ServerEvent} ServerEvent
 * @typedef {import("./types.js").Welcome} Welcome
 */

import { DEFAULT_LIMITS } from "./frames.js";
import { overlaid, sentMessage } from "./pending.js";
import { applyMessage, applyRead, firstUnread, keepQuoted, newRoom, takeHistory, trim, updateRoom } from "./rooms.js";
import { words } from "./words.js";

const TYPING_SHOWN_MS = 5000;
const EARLY_MESSAGES_MAX = 2000;
/** Without a server for so long, nobody knows any more who is online. */
const ALONE_MS = 3000;

export class Store extends EventTarget {
  /** @type {User | null} */
  me = null;
  /** @type {Map<number, RoomState>} */
  rooms = new Map();
  /** Public rooms that one could join. @type {Room[]} */
  joinable = [];
  /** @type {Map<string, User>} */
  users = new Map();
  /** What waits or has failed, in order. @type {Item[]} */
  outbox = [];
  /** Acknowledged messages that are not held yet. @type {Item[]} */
  acknowledged = [];
  /** @type {number | null} */
  current = null;
  /** @type {{ phase: "connecting" | "connected" | "lost" | "stopped", node: string, quorum: boolean }} */
  status = { phase: "connecting", node: "", quorum: true };
  limits = DEFAULT_LIMITS;
  /** The highest `at` of the events seen. @type {number | null} */
  cursor = null;
  /** @type {string | null} */
  epoch = null;
  /** Of which epoch the rooms of an earlier visit are. @type {string | null} */
  rememberedEpoch = null;
  /** Who types where, until when. @type {Map<number, Map<string, number>>} */
  typing = new Map();
  /** Whether no server has answered for a while. */
  alone = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #aloneTimer;
  /** Rooms that have changed since they were written down. @type {Set<number>} */
  touched = new Set();
  /** The last message of each room that is written down. @type {Map<number, number>} */
  shelved = new Map();
  /** Messages of rooms whose `room` event has not come yet. @type {Message[]} */
  #early = [];

  /**
   * @param {string} topic
   * @param {() => void} listener
   * @returns {() => void} stops listening
   */
  on(topic, listener) {
    this.addEventListener(topic, listener);
    return () => this.removeEventListener(topic, listener);
  }

  /** @param {string[]} topics */
  tell(...topics) {
    for (const topic of topics) {
      this.dispatchEvent(new Event(topic));
      if (topic.startsWith("room:")) this.touched.add(Number(topic.slice("room:".length)));
    }
    if (this.touched.size > 0) this.dispatchEvent(new Event("touched"));
  }

  /** @param {Partial<Store["status"]>} change */
  setStatus(change) {
    // Who typed when the connection was lost may have stopped since.
    if (change.phase === "lost" && this.typing.size > 0) {
      const rooms = [...this.typing.keys()];
      this.typing.clear();
      this.tell(...rooms.map((room) => `typing:${room}`));
    }
    this.status = { ...this.status, ...change };
    this.tell("status");
    if (this.status.phase === "connected") {
      clearTimeout(this.#aloneTimer);
      this.#aloneTimer = undefined;
      this.#setAlone(false);
    } else this.#aloneTimer ??= setTimeout(() => this.#setAlone(true), ALONE_MS);
  }

  /** @param {boolean} alone */
  #setAlone(alone) {
    if (alone === this.alone) return;
    this.alone = alone;
    this.tell("users");
  }

  /**
   * Whether somebody is online, as far as a server says so.
   * @param {string} name
   */
  isOnline(name) {
    return !this.alone && this.users.get(name)?.online === true;
  }

  /**
   * A connection stands: take over what the node says, all of it unless it resumed where we were.
   * @param {Welcome} welcome
   */
  welcome(welcome) {
    const changed = this.me?.name !== welcome.user.name;
    const known = this.epoch ?? this.rememberedEpoch;
    if (known !== welcome.epoch) this.shelved.clear();
    this.me = welcome.user;
    this.limits = welcome.limits;
    this.epoch = welcome.epoch;
    this.users.set(welcome.user.name, { ...welcome.user, online: true });
    if (!welcome.resumed) {
      this.cursor = welcome.cursor;
      this.#early = [];
      this.acknowledged = [];
      const before = this.rooms;
      this.rooms = new Map(welcome.rooms.filter((room) => room.member).map((room) => [room.room, newRoom(room)]));
      for (const [number, room] of this.rooms) {
        const held = before.get(number);
        room.new_from = held?.new_from ?? null;
        // What was held is shown until it is loaded anew, unless the chat is another one now.
        if (!held || held.messages.size === 0 || (known !== null && known !== welcome.epoch)) continue;
        Object.assign(room, { messages: held.messages, anchor: held.anchor, stale: true });
      }
      this.typing.clear();
      this.#tellRooms(new Set([...before.keys(), ...this.rooms.keys()]));
    }
    if (changed) this.tell("session");
    this.tell("rooms", "users");
    if (!welcome.resumed) this.tell("anew");
  }

  /**
   * Someone is about to be logged in again: what is known of the last visit, until a node has answered.
   * @param {User} user
   * @param {Room[]} rooms
   */
  expect(user, rooms) {
    this.me = user;
    this.rooms = new Map(rooms.map((room) => [room.room, newRoom(room)]));
    this.tell("session", "rooms");
  }

  /**
   * The last messages of an earlier visit, as long as no server has said what is there now.
   * @param {string} epoch
   * @param {Map<number, Message[]>} kept by room
   * @param {User[]} people
   */
  recall(epoch, kept, people) {
    if ((this.epoch ?? epoch) === epoch) for (const [number, messages] of kept) this.shelved.set(number, messages.at(-1)?.seq ?? 0);
    if (this.epoch !== null) return;
    for (const user of people) if (!this.users.has(user.name)) this.users.set(user.name, user);
    this.rememberedEpoch = epoch;
    for (const [number, messages] of kept) {
      const room = this.rooms.get(number);
      if (!room || room.messages.size > 0) continue;
      room.messages = new Map(messages.map((message) => [message.seq, message]));
      room.stale = true;
      this.tell(`room:${number}`);
    }
    this.tell("users");
  }

  /** Nobody is logged in here any more. The outbox on the disk is not touched. */
  clear() {
    this.me = null;
    this.rooms = new Map();
    this.joinable = [];
    this.users = new Map();
    this.outbox = [];
    this.acknowledged = [];
    this.current = null;
    this.cursor = null;
    this.epoch = null;
    this.rememberedEpoch = null;
    this.typing = new Map();
    this.#early = [];
    this.touched.clear();
    this.shelved.clear();
    this.tell("session", "rooms");
  }

  /** @param {ServerEvent} event */
  apply(event) {
    if ("at" in event && event.at > (this.cursor ?? -1)) this.cursor = event.at;
    switch (event.ev) {
      case "message":
        return this.#message(event);
      case "room":
        return this.#room(event);
      case "member":
        return this.tell(`members:${event.room}`);
      case "read":
        return this.markRead(event.room, event.seq);
      case "mute":
        return this.setMuted(event.room, event.muted);
      case "user":
        this.users.set(event.name, { ...event, online: this.users.get(event.name)?.online ?? false });
        if (event.name === this.me?.name) this.me = { ...this.me, ...event };
        return this.tell("users");
      case "presence":
        return this.#presence(event.user, event.online);
      case "typing":
        return this.#types(event.room, event.user);
      case "cluster":
        return this.setStatus({ quorum: event.quorum });
    }
  }

  /**
   * @param {number} number
   * @param {number} seq
   */
  markRead(number, seq) {
    const room = this.rooms.get(number);
    if (!room || !this.me) return;
    applyRead(room, seq, this.me.name);
    this.tell("rooms");
  }

  /**
   * @param {number} number
   * @param {boolean} muted
   */
  setMuted(number, muted) {
    const room = this.rooms.get(number);
    if (!room) return;
    room.muted = muted;
    this.tell("rooms");
  }

  /**
   * @param {number} number
   * @param {Message[]} messages
   * @param {"newest" | "older" | "newer" | "around"} where
   * @param {number} [seq] around which
   */
  history(number, messages, where, seq) {
    const room = this.rooms.get(number);
    if (!room) return;
    takeHistory(room, messages, where, seq);
    this.acknowledged = this.acknowledged.filter((item) => !messages.some(({ id }) => id === item.id));
    this.tell(`room:${number}`);
  }

  /** @param {Message} message one that another answers */
  quote(message) {
    const room = this.rooms.get(message.room);
    if (!room) return;
    keepQuoted(room, message);
    this.tell(`room:${message.room}`);
  }

  /** @param {Room} room one that an answer named: joined, created or opened */
  keepRoom(room) {
    if (!room.member) return this.#room({ ...room });
    const held = this.rooms.get(room.room);
    if (held) updateRoom(held, room);
    else this.rooms.set(room.room, newRoom(room));
    this.joinable = this.joinable.filter((other) => other.room !== room.room);
    this.tell("rooms");
  }

  /** @param {Room[]} rooms as `list_rooms` answered */
  setJoinable(rooms) {
    const joinable = rooms.filter((room) => room.kind === "public" && !this.rooms.has(room.room));
    if (JSON.stringify(joinable) === JSON.stringify(this.joinable)) return;
    this.joinable = joinable;
    this.tell("rooms");
  }

  /** @param {User[]} users */
  setUsers(users) {
    for (const user of users) this.users.set(user.name, user);
    this.tell("users");
  }

  /** @param {Item[]} items */
  setOutbox(items) {
    const rooms = new Set([...this.outbox, ...items].map((item) => item.room));
    this.outbox = items;
    this.#tellRooms(rooms);
    this.tell("status", "rooms");
  }

  /**
   * A change of one's own was acknowledged: show it without waiting for its event, which then settles it.
   * @param {Item} item
   * @param {import("./types.js").Success} reply
   */
  acknowledge(item, reply) {
    const room = this.rooms.get(item.room);
    if (!room || !this.me) return;
    const me = this.me.name;
    if (item.op === "send") {
      if (reply.seq === room.last_seq + 1 && room.anchor === null) applyMessage(room, sentMessage(item, reply, me), me);
      else if (!room.messages.has(reply.seq)) this.acknowledged.push(item);
    } else {
      const seqs = item.op === "delete" ? item.fields.seqs : [item.fields.seq];
      for (const seq of seqs) {
        const held = room.messages.get(seq);
        // The old `at` stays, so that the event wins.
        if (held && held.at < reply.at) room.messages.set(seq, { ...overlaid(held, item, me), version: reply.version ?? held.version });
      }
    }
    this.tell(`room:${item.room}`);
  }

  /** @param {number | null} number */
  open(number) {
    if (number === this.current) return;
    const left = this.current === null ? undefined : this.rooms.get(this.current);
    if (left) {
      left.new_from = null;
      trim(left);
    }
    this.current = number;
    const entered = number === null ? undefined : this.rooms.get(number);
    const first = entered && firstUnread(entered);
    // One begins to read there: without it the room is not here yet.
    if (first && !entered.messages.has(first)) entered.loaded = false;
    this.tell("current", "rooms");
  }

  /**
   * A person's shown name.
   * @param {string} name
   */
  display(name) {
    const user = this.users.get(name);
    return user?.deleted ? words.people.deleted : user?.display || name;
  }

  /**
   * A room's shown name; a direct conversation is named after the others.
   * @param {{ kind: string, name: string, users: string[] }} room
   */
  title(room) {
    if (room.kind !== "direct") return room.name;
    const others = room.users.filter((name) => name !== this.me?.name);
    return (others.length > 0 ? others : room.users).map((name) => this.display(name)).join(", ");
  }

  /** What is unread in the rooms that are not muted, and how much of it names the reader. */
  get unread() {
    let [count, mentions] = [0, 0];
    for (const room of this.rooms.values()) {
      if (room.muted) continue;
      count += room.unread;
      mentions += room.mentions;
    }
    return { count, mentions };
  }

  /** Messages written here that the servers have not acknowledged. */
  get waiting() {
    return this.outbox.filter((item) => item.op === "send" && item.state === "waiting").length;
  }

  /** @param {number} number */
  typingIn(number) {
    const now = Date.now();
    return [...(this.typing.get(number) ?? [])].filter(([, until]) => until > now).map(([name]) => name);
  }

  /** @param {Message} message */
  #message(message) {
    const room = this.rooms.get(message.room);
    if (!room) {
      this.#early.push(message);
      if (this.#early.length > EARLY_MESSAGES_MAX) this.#early.shift();
      return;
    }
    const isNew = applyMessage(room, message, this.me?.name ?? "");
    // Behind messages that are read further up it is not held, and is shown as what one sent.
    if (message.deleted || room.messages.has(message.seq)) this.acknowledged = this.acknowledged.filter((item) => item.id !== message.id);
    if (room.room !== this.current) trim(room);
    if (this.typing.get(message.room)?.delete(message.from)) this.tell(`typing:${message.room}`);
    this.tell(`room:${message.room}`);
    if (isNew || message.deleted) this.tell("rooms");
    if (isNew && message.from !== this.me?.name && !message.deleted) this.dispatchEvent(new CustomEvent("arrived", { detail: message }));
  }

  /** @param {Room} room */
  #room(room) {
    if (!room.member) {
      // The place stays the one that is open: there it is said, and there the room is again when one is let in again.
      this.rooms.delete(room.room);
      this.tell("rooms", `room:${room.room}`);
      return;
    }
    this.keepRoom(room);
    const early = this.#early.filter((message) => message.room === room.room);
    if (early.length === 0) return;
    this.#early = this.#early.filter((message) => message.room !== room.room);
    const held = this.rooms.get(room.room);
    // These came after one joined: they are the unread ones, whatever `last_seq` has become meanwhile.
    if (held && room.read_seq === undefined) {
      held.read_seq = Math.min(held.read_seq, early[0].seq - 1);
      held.last_seq = held.read_seq;
      held.unread = 0;
    }
    for (const message of early) this.#message(message);
  }

  /**
   * @param {string} name
   * @param {boolean} online
   */
  #presence(name, online) {
    const user = this.users.get(name) ?? { name, display: name, role: "member", deleted: false, bare: true };
    this.users.set(name, { ...user, online });
    this.tell("users");
  }

  /**
   * @param {number} number
   * @param {string} name
   */
  #types(number, name) {
    if (name === this.me?.name) return;
    const here = this.typing.get(number) ?? new Map();
    here.set(name, Date.now() + TYPING_SHOWN_MS);
    this.typing.set(number, here);
    const topic = `typing:${number}`;
    this.tell(topic);
    setTimeout(() => this.tell(topic), TYPING_SHOWN_MS + 50);
  }

  /** @param {Iterable<number>} rooms */
  #tellRooms(rooms) {
    for (const number of rooms) this.tell(`room:${number}`);
  }
}
