/**
 * How waiting changes look: messages that are not sent yet, and edits, deletions and reactions laid over what is held.
 *
 * @typedef {import("./types.js").Item} Item
 * @typedef {import("./types.js").Message} Message
 * @typedef {import("./types.js").RoomState} RoomState
 *
 * @typedef {object} Shown  one entry of the conversation
 * @property {string} key  the same from the first showing to the last
 * @property {Message} message
 * @property {"sent" | "sending" | "failed"} state
 * @property {Item | null} item  the send, or the refused change, behind that state
 */

import { shownRun } from "./rooms.js";

/**
 * The conversation as it is shown: what the servers have, with one's own waiting changes over it, then what waits to be sent,
 * also where one reads further up and more messages stand between.
 * @param {RoomState} room
 * @param {readonly Item[]} outbox
 * @param {readonly Item[]} acknowledged
 * @param {string} me
 * @returns {Shown[]}
 */
export function conversation(room, outbox, acknowledged, me) {
  const here = outbox.filter((item) => item.room === room.room);
  const run = shownRun(room);
  /** @type {Set<string>} */
  const there = new Set();
  /** @type {Shown[]} */
  const shown = run.map((message) => {
    if (message.from === me) there.add(message.id);
    const changes = here.filter((item) => touches(item, message.seq));
    const failed = changes.find((item) => item.state === "failed") ?? null;
    const waiting = changes.filter((item) => item.state === "waiting");
    return {
      key: keyOf(message.from, message.id || String(message.seq)),
      message: waiting.reduce((now, item) => overlaid(now, item, me), message),
      state: failed ? "failed" : waiting.some((item) => item.op === "edit") ? "sending" : "sent",
      item: failed,
    };
  });
  for (const item of acknowledged) {
    if (item.room === room.room && !there.has(item.id)) {
      there.add(item.id);
      shown.push({ key: keyOf(me, item.id), message: pendingMessage(item, me), state: "sent", item: null });
    }
  }
  for (const item of here) {
    if (item.op !== "send" || there.has(item.id)) continue;
    const state = item.state === "failed" ? "failed" : "sending";
    shown.push({ key: keyOf(me, item.id), message: pendingMessage(item, me), state, item });
  }
  return shown;
}

/**
 * A message with one waiting or acknowledged change of one's own laid over it.
 * @param {Message} message
 * @param {Item} item
 * @param {string} me
 * @returns {Message}
 */
export function overlaid(message, item, me) {
  if (item.op === "edit") return { ...message, text: item.fields.text, edited: true };
  if (item.op === "delete") return { ...message, text: "", deleted: true, reactions: {}, files: [] };
  if (item.op !== "react") return message;
  const { emoji, on } = item.fields;
  const others = (message.reactions[emoji] ?? []).filter((name) => name !== me);
  const { [emoji]: _, ...rest } = message.reactions;
  const names = on ? [...others, me] : others;
  if (names.length === 0) return { ...message, reactions: rest };
  // One that is there already keeps its place.
  return { ...message, reactions: emoji in message.reactions ? { ...message.reactions, [emoji]: names } : { ...rest, [emoji]: names } };
}

/**
 * The message that an acknowledged send has become.
 * @param {Item} item
 * @param {import("./types.js").Success} reply
 * @param {string} me
 * @returns {Message}
 */
export function sentMessage(item, reply, me) {
  // The event knows more of the files than we do, so it wins.
  const at = attachedTo(item).length > 0 ? reply.at - 1 : reply.at;
  return { ...pendingMessage(item, me), seq: reply.seq, at, time: reply.time ?? item.time };
}

/**
 * @param {Item} item
 * @param {string} me
 * @returns {Message}
 */
function pendingMessage(item, me) {
  return {
    at: 0,
    room: item.room,
    seq: 0,
    id: item.id,
    from: me,
    text: item.fields.text,
    time: item.time,
    version: 1,
    edited: false,
    deleted: false,
    reply_to: item.fields.reply_to ?? null,
    reactions: {},
    files: attachedTo(item).map(({ id, ...file }) => ({ ...file, file: "", local: id })),
  };
}

/**
 * The files that wait with a message.
 * @param {Item} item
 * @returns {import("./types.js").Local[]}
 */
export function attachedTo(item) {
  return item.op === "send" ? (item.fields.attached ?? []) : [];
}

/**
 * @param {Item} item
 * @param {number} seq
 */
function touches(item, seq) {
  if (item.op === "send") return false;
  return item.op === "delete" ? item.fields.seqs.includes(seq) : item.fields.seq === seq;
}

/**
 * @param {string} from
 * @param {string} id
 */
function keyOf(from, id) {
  return `${from} ${id}`;
}
