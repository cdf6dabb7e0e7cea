/**
 * What events and histories do to one room as the page holds it: plain functions on a `RoomState`.
 *
 * @typedef {import("./types.js").Room} Room
 * @typedef {import("./types.js").RoomState} RoomState
 * @typedef {import("./types.js").Message} Message
 */

/** Messages of a room that nobody looks at are kept up to this many; the rest is loaded again when wanted. */
export const KEPT_MESSAGES = 400;

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
    creator: room.creator,
    at: room.at,
    last_seq: room.last_seq,
    // A direct conversation begins unread; any other begins where one joined it.
    read_seq: room.read_seq ?? (room.kind === "direct" ? 0 : room.last_seq),
    unread: room.unread ?? (room.kind === "direct" && room.read_seq === undefined ? room.last_seq : 0),
    messages: new Map(),
    loaded: false,
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
  state.creator = room.creator ?? state.creator;
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
  state.messages.set(message.seq, message);
  return isNew;
}

/**
 * @param {RoomState} state
 * @param {number} seq
 * @param {string} me
 */
export function applyRead(state, seq, me) {
  if (seq <= state.read_seq) return;
  state.read_seq = seq;
  if (seq >= state.last_seq) {
    state.unread = 0;
    return;
  }
  let known = 0;
  for (let next = seq + 1; next <= state.last_seq; next++) {
    const message = state.messages.get(next);
    // One that is not held may be unread: the count is never too small.
    if (!message || (message.from !== me && !message.deleted)) known += 1;
  }
  state.unread = Math.min(state.unread, known);
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
 * The messages to show: the unbroken run that ends with the newest one held.
 * What lies below a hole is shown once the hole is filled, by scrolling up.
 * @param {RoomState} state
 * @returns {Message[]} by rising seq
 */
export function shownRun(state) {
  /** @type {Message[]} */
  const run = [];
  let newest = 0;
  for (const seq of state.messages.keys()) if (seq > newest) newest = seq;
  for (let seq = newest; seq > 0; seq--) {
    const message = state.messages.get(seq);
    if (!message) break;
    run.push(message);
  }
  return run.reverse();
}

/**
 * Lets go of all but the newest messages.
 * @param {RoomState} state
 */
export function trim(state) {
  if (state.messages.size <= KEPT_MESSAGES) return;
  const oldest = shownRun(state).at(-KEPT_MESSAGES)?.seq ?? 0;
  for (const seq of state.messages.keys()) if (seq < oldest) state.messages.delete(seq);
}

/**
 * Where a room's first unread message stands, when there is one.
 * @param {RoomState} state
 */
export function firstUnread(state) {
  return state.unread > 0 ? state.read_seq + 1 : null;
}
