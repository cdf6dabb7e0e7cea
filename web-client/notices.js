/**
 * Notices of the system for what came while the reader looked elsewhere: only when asked for, one a room, none for what is
 * on the screen, and gone once it is read, on whichever device.
 *
 * @typedef {import("./types.js").Message} Message
 */

import { forget, recall, remember } from "./db.js";
import { on, watched } from "./dom.js";
import { calls } from "./rooms.js";
import { firstLine } from "./text.js";

const KEY = "notices";
const CHARACTERS = 140;
/** What comes in a heap after a pause is one thing to be told of. */
const TOGETHER_MS = 300;

/** @returns {"on" | "off" | "blocked" | "none"} */
export function noticesState() {
  if (!("Notification" in globalThis)) return "none";
  if (Notification.permission === "denied") return "blocked";
  return recall(KEY) === true && Notification.permission === "granted" ? "on" : "off";
}

/** Asked for by a button. @param {boolean} on */
export async function wantNotices(on) {
  if (!on) forget(KEY);
  else if ((await Notification.requestPermission()) === "granted") remember(KEY, true);
  return noticesState();
}

/**
 * Whether a message is worth a notice: it is for the reader alone, or names the reader.
 * @param {Message} message
 * @param {import("./types.js").RoomState} room
 * @param {string} me
 */
export function isForMe(message, room, me) {
  if (room.muted || message.from === me || message.deleted || message.seq <= room.read_seq) return false;
  return room.kind === "direct" || calls(message, me);
}

/**
 * @param {object} context
 * @param {import("./store.js").Store} context.store
 * @param {(room: number, seq: number) => void} context.go
 */
export function notices({ store, go }) {
  /** What waits to be told, by room. @type {Map<number, Message>} */
  const waiting = new Map();
  /** @type {Map<number, { seq: number, close: () => void }>} */
  const shown = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;

  const looksAt = (/** @type {number} */ room) => store.current === room && watched();

  on(store, "arrived", (event) => {
    const message = /** @type {CustomEvent<Message>} */ (event).detail;
    const room = store.rooms.get(message.room);
    if (!room || noticesState() !== "on" || looksAt(message.room) || !isForMe(message, room, store.me?.name ?? "")) return;
    waiting.set(message.room, message);
    timer ??= setTimeout(tellAll, TOGETHER_MS);
  });
  store.on("rooms", () => {
    for (const [number, { seq, close }] of shown) {
      const room = store.rooms.get(number);
      if (room && room.read_seq < seq) continue;
      close();
      shown.delete(number);
    }
  });

  function tellAll() {
    timer = undefined;
    for (const [number, message] of waiting) {
      const room = store.rooms.get(number);
      if (room && room.read_seq < message.seq) void tell(room, message);
    }
    waiting.clear();
  }

  /**
   * @param {import("./types.js").RoomState} room
   * @param {Message} message
   */
  async function tell(room, message) {
    const title = store.title(room);
    const from = store.display(message.from);
    const text = firstLine(message.text, CHARACTERS) || (message.files[0]?.name ?? "");
    // One a room, also where several tabs tell of the same.
    const tag = `room-${room.room}`;
    const options = { tag, icon: "/icon-192.png", body: room.kind === "direct" && room.users.length < 3 ? text : `${from}: ${text}`, data: { room: room.room, seq: message.seq } };
    try {
      const notice = new Notification(title, options);
      notice.onclick = () => {
        window.focus();
        notice.close();
        go(room.room, message.seq);
      };
      shown.set(room.room, { seq: message.seq, close: () => notice.close() });
    } catch {
      // Where pages may not, the service worker may.
      const worker = await navigator.serviceWorker?.ready;
      await worker?.showNotification(title, options);
      shown.set(room.room, { seq: message.seq, close: () => void worker?.getNotifications({ tag }).then((all) => all.forEach((one) => one.close())) });
    }
  }
}
