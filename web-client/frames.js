/**
 * Frames are checked here, once: what leaves this module has the types of `types.js`.
 *
 * @typedef {import("./types.js").ServerEvent} ServerEvent
 * @typedef {import("./types.js").Reply} Reply
 * @typedef {import("./types.js").Room} Room
 * @typedef {import("./types.js").Message} Message
 * @typedef {import("./types.js").User} User
 * @typedef {import("./types.js").Cluster} Cluster
 * @typedef {import("./types.js").Welcome} Welcome
 */

import { nodeOrigin } from "./backoff.js";
import { words } from "./words.js";

const DEFAULT_HEARTBEAT_MS = 20_000;
export const DEFAULT_LIMITS = { message_bytes: 8192, frame_bytes: 65_536, file_bytes: 26_214_400 };

/**
 * @param {unknown} data what the WebSocket handed over
 * @returns {{ reply: Reply } | { event: ServerEvent } | null} null for what this page does not know
 */
export function readFrame(data) {
  if (typeof data !== "string") return null;
  /** @type {any} */
  let frame;
  try {
    frame = JSON.parse(data);
  } catch {
    return null;
  }
  if (typeof frame !== "object" || frame === null) return null;
  if (typeof frame.re === "string") {
    if (frame.ok === true) return { reply: frame };
    return { reply: { re: frame.re, ok: false, error: readProblem(frame.error) } };
  }
  const event = typeof frame.ev === "string" ? readEvent(frame) : null;
  return event && { event };
}

/**
 * @param {any} from
 * @returns {import("./types.js").Problem}
 */
export function readProblem(from) {
  const error = from ?? {};
  return {
    code: text(error.code, "internal"),
    message: text(error.message),
    retry: error.retry === true,
    ...numbers(error, "retry_after_ms"),
    ...(error.current ? { current: error.current } : {}),
  };
}

/**
 * @param {any} from
 * @returns {Welcome}
 */
export function readWelcome(from) {
  return {
    user: readUser(from.user),
    node: text(from.node, words.status.someNode),
    cursor: number(from.cursor),
    epoch: text(from.epoch),
    resumed: from.resumed === true,
    behind: from.behind === true,
    rooms: readRooms(from.rooms),
    cluster: readCluster(from.cluster),
    nodes: origins(from.nodes),
    limits: { ...DEFAULT_LIMITS, ...(from.limits ?? {}) },
    heartbeat_ms: isNumber(from.heartbeat_ms) ? from.heartbeat_ms : DEFAULT_HEARTBEAT_MS,
    ...(typeof from.token === "string" ? { token: from.token } : {}),
  };
}

/**
 * @param {any} from
 * @returns {Cluster | null}
 */
export function readCluster(from) {
  if (typeof from !== "object" || from === null || typeof from.quorum !== "boolean") return null;
  const nodes = list(from.nodes).flatMap((node) => {
    const url = nodeOrigin(text(node?.public));
    return url ? [{ name: text(node.name), public: url, up: node.up !== false }] : [];
  });
  return { leader: typeof from.leader === "string" ? from.leader : null, quorum: from.quorum, nodes };
}

/** @param {unknown} from */
export const readRooms = (from) => list(from).map(readRoom).filter(isThere);

/**
 * @param {any} from
 * @returns {Room | null}
 */
export function readRoom(from) {
  if (!isNumber(from?.room)) return null;
  return {
    room: from.room,
    name: text(from.name),
    kind: from.kind === "private" || from.kind === "direct" ? from.kind : "public",
    topic: text(from.topic),
    users: list(from.users).map((user) => (typeof user === "string" ? user : text(user?.name))),
    member: from.member !== false,
    last_seq: number(from.last_seq),
    at: number(from.at),
    ...numbers(from, "read_seq", "unread", "mentions"),
    ...(typeof from.muted === "boolean" ? { muted: from.muted } : {}),
  };
}

/**
 * @param {any} from
 * @returns {Message | null}
 */
export function readMessage(from) {
  if (!isNumber(from?.room) || !isNumber(from.seq)) return null;
  return {
    at: number(from.at),
    room: from.room,
    seq: from.seq,
    id: text(from.id),
    from: text(from.from),
    text: text(from.text),
    time: number(from.time),
    version: number(from.version),
    edited: from.edited === true,
    deleted: from.deleted === true,
    reply_to: isNumber(from.reply_to) ? from.reply_to : null,
    reactions: readReactions(from.reactions),
    files: list(from.files).map((file) => ({
      file: text(file?.file),
      name: text(file?.name),
      bytes: number(file?.bytes),
      type: text(file?.type),
    })),
  };
}

/**
 * @param {any} from
 * @returns {import("./types.js").Version}
 */
export function readVersion(from) {
  return { version: number(from?.version), text: text(from?.text), time: number(from?.time) };
}

/**
 * @param {any} from
 * @returns {User}
 */
export function readUser(from) {
  const name = typeof from === "string" ? from : text(from?.name);
  return {
    name,
    display: text(from?.display) || name,
    role: from?.role === "admin" ? "admin" : "member",
    deleted: from?.deleted === true,
    ...(typeof from?.online === "boolean" ? { online: from.online } : {}),
    ...(from?.disabled === true ? { disabled: true } : {}),
    ...(from?.bot === true ? { bot: true } : {}),
  };
}

/** @param {unknown} from */
export function origins(from) {
  const found = list(from).map((url) => nodeOrigin(text(typeof url === "object" ? url?.public : url)));
  return [...new Set(found.filter(isThere))];
}

/**
 * @param {unknown} value
 * @returns {any[]}
 */
export function list(value) {
  return Array.isArray(value) ? value : [];
}

/**
 * @param {any} frame
 * @returns {ServerEvent | null}
 */
function readEvent(frame) {
  switch (frame.ev) {
    case "message": {
      const message = readMessage(frame);
      return message && { ev: "message", ...message };
    }
    case "room": {
      const room = readRoom(frame);
      return room && { ev: "room", ...room };
    }
    case "user":
      return { ev: "user", at: number(frame.at), ...readUser(frame) };
    case "cluster": {
      const cluster = readCluster(frame);
      return cluster && { ev: "cluster", ...cluster };
    }
    case "bye":
      return { ev: "bye", reason: text(frame.reason), nodes: origins(frame.nodes) };
    case "member":
    case "read":
    case "typing":
      return isNumber(frame.room) && typeof frame.user === "string" ? frame : null;
    case "mute":
      return isNumber(frame.room) && typeof frame.muted === "boolean" ? frame : null;
    case "presence":
      return typeof frame.user === "string" && typeof frame.online === "boolean" ? frame : null;
    case "cursor":
      return isNumber(frame.at) ? frame : null;
    default:
      return null;
  }
}

/**
 * @param {any} from
 * @returns {Record<string, string[]>}
 */
function readReactions(from) {
  /** @type {Record<string, string[]>} */
  const out = {};
  if (typeof from !== "object" || from === null) return out;
  for (const [emoji, users] of Object.entries(from)) {
    const names = list(users).filter((name) => typeof name === "string");
    if (names.length > 0) out[emoji] = names;
  }
  return out;
}

/**
 * @param {unknown} value
 * @param {string} [otherwise]
 * @returns {string}
 */
function text(value, otherwise = "") {
  return typeof value === "string" ? value : otherwise;
}

/**
 * @param {unknown} value
 * @returns {number}
 */
function number(value) {
  return isNumber(value) ? value : 0;
}

/**
 * Those of some fields that are there.
 * @param {any} from
 * @param {string[]} names
 * @returns {Record<string, number>}
 */
function numbers(from, ...names) {
  return Object.fromEntries(names.filter((name) => isNumber(from[name])).map((name) => [name, from[name]]));
}

/**
 * @param {unknown} value
 * @returns {value is number}
 */
function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

/**
 * @template T
 * @param {T | null} value
 * @returns {value is T}
 */
function isThere(value) {
  return value !== null;
}
