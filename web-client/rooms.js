/**
 * What events and histories do to one room as the page holds it: plain functions on a `RoomState`.
 *
 * @typedef {import("./types.js").Room} Room
 * @typedef {import("./types.js").RoomState} RoomState
 * @typedef {import("./types.js").Message} Message
 */

import { mentions } from "./mentions.js";

/** Messages of a room that nobody looks at are kept up to this many; the rest is loaded again when wanted. */
export const KEPT_MESSAGES = 400;
/** The open room holds up to this many around what is read; the far end is let go of. */
export const WINDOW_MESSAGES = 600;
/** While one reads, newer ones may come before the far end goes. */
const WINDOW_SLACK = 200;
const QUOTED_MAX = 200;
/** Of so many rooms the newest messages are there before anybody opens them. */
const AHEAD_MAX = 100;

/**
 * @param {Room} room
 * @returns {RoomState}
 */
export function newRoom(room) {
  return {
    room: room.room,
    name: room.name,
    kind: room.kind,
    topic: room.topic,
    users: room.users,
    at: room.at,
    last_seq: room.last_seq,
    // A direct conversation begins unread; any other begins where one joined it.
    read_seq: room.read_seq ?? (room.kind === "direct" ? 0 : room.last_seq),
    unread: room.unread ?? (room.kind === "direct" && room.read_seq === undefined ? room.last_seq : 0),
    mentions: room.mentions ?? 0,
    muted: room.muted ?? false,
    messages: new Map(),
    anchor: null,
    quoted: new Map(),
    loaded: false,
    stale: false,
    new_from: null,
  };
}

/**
 * A room's own state moved on: its name, its topic. What is unread follows from messages and read marks.
 * @param {RoomState} state
 * @param {Room} room
 */
export function updateRoom(state, room) {
  if (room.at < state.at) return;
  state.at = room.at;
  state.name = room.name;
  state.kind = room.kind;
  state.topic = room.topic;
  if (room.users.length > 0) state.users = room.users;
  state.muted = room.muted ?? state.muted;
}

/**
 * A message as it is now; the higher `at` wins.
 * @param {RoomState} state
 * @param {Message} message
 * @param {string} me
 * @returns {boolean} whether it is a new message, not a newer state of one
 */
export function applyMessage(state, message, me) {
  const held = state.messages.get(message.seq);
  if (held && held.at >= message.at) return false;
  const isNew = message.seq > state.last_seq;
  if (isNew) {
    state.last_seq = message.seq;
    if (message.from === me) {
      // Who writes has read what stands above.
      if (state.unread === 0) state.read_seq = message.seq;
    } else if (!message.deleted) {
      state.unread += 1;
    }
  } else if (message.deleted && !held?.deleted && message.seq > state.read_seq && message.from !== me) {
    state.unread = Math.max(0, state.unread - 1);
  }
  if (message.seq > state.read_seq && message.from !== me) {
    const before = !isNew && held !== undefined && calls(held, me);
    state.mentions = Math.max(0, state.mentions + Number((isNew || held !== undefined) && calls(message, me)) - Number(before));
  }
  if (state.quoted.has(message.seq)) state.quoted.set(message.seq, message);
  // What comes behind the messages that are read further up is loaded when one gets there.
  if (held || state.anchor === null) state.messages.set(message.seq, message);
  return isNew;
}

/**
 * @param {RoomState} state
 * @param {number} seq
 * @param {string} me
 */
export function applyRead(state, seq, me) {
  if (seq <= state.read_seq) return;
  for (let next = state.read_seq + 1; next <= Math.min(seq, state.last_seq); next++) {
    const message = state.messages.get(next);
    // What an earlier visit left may have been deleted, and not be counted.
    if (!message || state.stale || message.from === me) continue;
    state.unread = Math.max(0, state.unread - Number(!message.deleted));
    state.mentions = Math.max(0, state.mentions - Number(calls(message, me)));
  }
  state.read_seq = seq;
  if (seq >= state.last_seq) {
    state.unread = 0;
    state.mentions = 0;
    return;
  }
  let known = 0;
  let calling = 0;
  for (let next = seq + 1; next <= state.last_seq; next++) {
    const message = state.messages.get(next);
    // One that is not held may be unread: the count is never too small.
    if (!message || (message.from !== me && !message.deleted)) known += 1;
    if (!message || (message.from !== me && calls(message, me))) calling += 1;
  }
  state.unread = Math.min(state.unread, known);
  state.mentions = Math.min(state.mentions, calling);
}

/**
 * Whether a message names somebody.
 * @param {Message} message
 * @param {string} name
 */
export function calls(message, name) {
  return !message.deleted && mentions(message.text, name);
}

/**
 * @param {RoomState} state
 * @param {readonly Message[]} messages
 */
export function mergeHistory(state, messages) {
  for (const message of messages) {
    const held = state.messages.get(message.seq);
    if (!held || held.at < message.at) state.messages.set(message.seq, message);
    if (message.seq > state.last_seq) state.last_seq = message.seq;
  }
}

/**
 * A page of the room's history has come.
 * @param {RoomState} state
 * @param {readonly Message[]} messages by rising seq
 * @param {"newest" | "older" | "newer" | "around"} where
 * @param {number} [seq] around which
 */
export function takeHistory(state, messages, where, seq = 0) {
  if (state.stale && (where === "newest" || where === "around")) {
    // What an earlier visit left may have changed since; none of it is mixed with what is known.
    const last = messages.at(-1)?.seq ?? 0;
    for (const held of state.messages.keys()) if (held <= last) state.messages.delete(held);
    state.stale = false;
  }
  mergeHistory(state, messages);
  if (where === "newest") state.anchor = null;
  else if (where === "around") state.anchor = (messages.find((message) => message.seq >= seq) ?? messages.at(-1))?.seq ?? null;
  else if (where === "newer" && messages.length === 0) state.anchor = null;
  if (where === "newest" || where === "around") state.loaded = true;
  const run = shownRun(state);
  const end = run.at(-1)?.seq ?? 0;
  // What came while this was read, behind the messages that were shown then, is not held: it is to be loaded.
  if (where === "newest" && end < state.last_seq) state.anchor = end || null;
  if (where === "older") keep(state, run, run.slice(0, WINDOW_MESSAGES));
  else if (where === "around") keep(state, run, windowAround(run, state.anchor ?? 0));
  else keep(state, run, run.slice(-WINDOW_MESSAGES));
}

/**
 * The messages to show: an unbroken run. It ends with the newest one held, or is the one around the anchor.
 * What lies beyond a hole is shown once the hole is filled, by scrolling there.
 * @param {RoomState} state
 * @returns {Message[]} by rising seq
 */
export function shownRun(state) {
  /** @type {Message[]} */
  const run = [];
  let newest = state.anchor ?? 0;
  if (state.anchor === null) for (const seq of state.messages.keys()) newest = Math.max(newest, seq);
  else while (state.messages.has(newest + 1)) newest += 1;
  for (let seq = newest; seq > 0; seq--) {
    const message = state.messages.get(seq);
    if (!message) break;
    run.push(message);
  }
  return run.reverse();
}

/**
 * Lets go of all but the newest messages of a room that nobody looks at.
 * @param {RoomState} state
 */
export function trim(state) {
  state.quoted.clear();
  if (state.anchor !== null) {
    // The newest ones are not among those held.
    state.messages.clear();
    state.anchor = null;
    state.loaded = false;
  } else if (state.messages.size > KEPT_MESSAGES) {
    const run = shownRun(state);
    keep(state, run, run.slice(-KEPT_MESSAGES));
  }
}

/**
 * Bounds what the open room holds, around what is being read.
 * @param {RoomState} state
 * @param {number | null} reading the seq of a message before the reader's eyes; null at the end
 */
export function bound(state, reading) {
  if (state.messages.size <= WINDOW_MESSAGES + WINDOW_SLACK) return;
  const run = shownRun(state);
  keep(state, run, reading === null ? run.slice(-WINDOW_MESSAGES) : windowAround(run, reading));
}

/**
 * @param {RoomState} state
 * @param {Message} message one that another answers
 */
export function keepQuoted(state, message) {
  const oldest = state.quoted.keys().next();
  if (state.quoted.size >= QUOTED_MAX && !oldest.done) state.quoted.delete(oldest.value);
  state.quoted.set(message.seq, message);
}

/**
 * @param {Message[]} run
 * @param {number} seq
 */
function windowAround(run, seq) {
  if (run.length <= WINDOW_MESSAGES) return run;
  const middle = seq - run[0].seq;
  const start = Math.max(0, Math.min(run.length - WINDOW_MESSAGES, middle - WINDOW_MESSAGES / 2));
  return run.slice(start, start + WINDOW_MESSAGES);
}

/**
 * @param {RoomState} state
 * @param {Message[]} run the messages that are shown
 * @param {Message[]} left those of them that stay
 */
function keep(state, run, left) {
  if (left.length !== state.messages.size) state.messages = new Map(left.map((message) => [message.seq, message]));
  const last = left.at(-1)?.seq ?? 0;
  if (last < (run.at(-1)?.seq ?? 0)) state.anchor = Math.min(last, Math.max(left[0]?.seq ?? 0, state.anchor ?? last));
  else if (last >= state.last_seq || left.length === 0) state.anchor = null;
  else if (state.anchor !== null) state.anchor = Math.max(left[0].seq, state.anchor);
}

/**
 * The rooms whose newest messages are neither held nor written down. Those with something unread come first, then those
 * that changed last.
 * @param {Iterable<RoomState>} rooms
 * @param {Map<number, number>} shelved the last message of each that is written down
 */
export function behind(rooms, shelved) {
  const first = [...rooms].sort((a, b) => Number(b.unread > 0) - Number(a.unread > 0) || b.at - a.at).slice(0, AHEAD_MAX);
  return first.filter(({ room, loaded, last_seq }) => !loaded && last_seq > (shelved.get(room) ?? 0));
}

/**
 * Where a room's first unread message stands, when there is one.
 * @param {RoomState} state
 */
export function firstUnread(state) {
  return state.unread > 0 ? state.read_seq + 1 : null;
}
