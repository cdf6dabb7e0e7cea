/** What can be done with a message: the small bar at its corner, the menu with everything, and the keys. */

import { boxOf, h, on, touched } from "../dom.js";
import { fullTime } from "../time.js";
import { words } from "../words.js";
import { iconButton } from "./controls.js";
import { askFirst } from "./dialogs.js";
import { pickEmoji } from "./lazy.js";
import { openMenu } from "./menu.js";

export const QUICK_EMOJI = ["👍", "❤️", "😄", "🎉", "👀", "✅"];

const LONG_PRESS_MS = 500;

/**
 * @typedef {import("../types.js").Message} Message
 * @typedef {import("../pending.js").Shown} Shown
 *
 * @typedef {object} Can
 * @property {(key: string) => Shown | undefined} find
 * @property {() => { name: string, admin: boolean }} me
 * @property {(message: Message, emoji: string) => void} react
 * @property {(message: Message) => void} reply
 * @property {(message: Message) => void} edit
 * @property {(message: Message) => void} remove
 * @property {(text: string) => void} copy
 * @property {(message: Message) => void} link copies the address of a message
 */

/**
 * @param {HTMLElement} log
 * @param {Can} can
 */
export function messageActions(log, can) {
  const text = words.message;
  /** @type {HTMLElement | null} */
  let host = null;
  const button = (/** @type {string} */ label, /** @type {Parameters<typeof iconButton>[0]} */ picture, /** @type {(message: Message, at: HTMLElement) => void} */ act) => {
    const element = iconButton(picture, label, () => {
      const shown = host && can.find(host.dataset.key ?? "");
      if (shown) act(shown.message, element);
    });
    return element;
  };
  const react = button(text.react, "smile", (message, at) => quickEmoji(message, boxOf(at), at));
  const reply = button(text.reply, "reply", (message) => can.reply(message));
  const edit = button(text.edit, "pencil", (message) => can.edit(message));
  const more = button(text.more, "dots", (_, at) => host && openAll(host, boxOf(at), at));
  more.setAttribute("aria-haspopup", "menu");
  const bar = h("div.actions", { role: "group", "aria-label": text.actions }, react, reply, edit, more);

  /** @param {HTMLElement | null} article */
  const attach = (article) => {
    if (article === host && bar.isConnected && bar.parentElement === host) return;
    const shown = article && can.find(article.dataset.key ?? "");
    if (!article || !shown || shown.message.seq === 0 || shown.message.deleted) {
      if (!bar.contains(document.activeElement)) bar.remove();
      host = null;
      return;
    }
    host = article;
    edit.hidden = shown.message.from !== can.me().name;
    article.append(bar);
  };
  /** @param {EventTarget | null} target */
  const articleOf = (target) => /** @type {HTMLElement | null} */ (target instanceof Element ? target.closest("article") : null);

  on(log, "pointerover", (event) => {
    if (bar.contains(document.activeElement) || event.pointerType === "touch") return;
    const article = articleOf(event.target);
    if (article) attach(article);
  });
  on(log, "pointerleave", () => {
    if (!bar.contains(document.activeElement)) attach(articleOf(document.activeElement));
  });
  on(log, "focusin", (event) => {
    const article = articleOf(event.target);
    if (article && article !== host) attach(article);
  });

  // A long press opens the menu where there is no pointer to hover with.
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let pressing;
  const release = () => clearTimeout(pressing);
  on(log, "pointerdown", (event) => {
    const article = articleOf(event.target);
    release();
    if (!article || event.pointerType !== "touch" || !(event.target instanceof Element) || event.target.closest("a, button, textarea")) return;
    const { clientX: x, clientY: y } = event;
    pressing = setTimeout(() => openAll(article, { left: x, right: x, top: y, bottom: y }, article), LONG_PRESS_MS);
  });
  for (const name of ["pointerup", "pointercancel", "pointermove", "scroll"]) on(log, name, release);
  on(log, "contextmenu", (event) => {
    if (touched() && articleOf(event.target)) event.preventDefault();
  });

  on(log, "keydown", (event) => {
    const article = articleOf(event.target);
    if (!article || event.target !== article || event.ctrlKey || event.metaKey || event.altKey) return;
    const shown = can.find(article.dataset.key ?? "");
    if (!shown) return;
    const { message } = shown;
    const usable = message.seq > 0 && !message.deleted;
    if (event.key === "Enter" || event.key === "ContextMenu") openAll(article, boxOf(article), article);
    else if (event.key === "r" && usable) can.reply(message);
    else if (event.key === "e" && usable && message.from === can.me().name) can.edit(message);
    else if (event.key === "+" && usable) quickEmoji(message, boxOf(article), article);
    else if (event.key === "Delete" && usable && mayRemove(message)) confirmRemove(message);
    else return;
    event.preventDefault();
  });

  /**
   * @param {HTMLElement} article
   * @param {{ left: number, right: number, top: number, bottom: number }} at
   * @param {HTMLElement} opener
   */
  function openAll(article, at, opener) {
    const shown = can.find(article.dataset.key ?? "");
    if (!shown || shown.message.deleted) return;
    const { message } = shown;
    const items = [{ label: text.copyText, act: () => can.copy(message.text) }];
    if (message.seq > 0) {
      items.unshift({ label: text.reply, act: () => can.reply(message) });
      items.push({ label: text.copyLink, act: () => can.link(message) });
      if (message.from === can.me().name) items.push({ label: text.edit, act: () => can.edit(message) });
      if (mayRemove(message)) items.push(/** @type {any} */ ({ label: text.remove, act: () => confirmRemove(message), harm: true }));
    }
    openMenu(at, opener, text.actions, items, message.seq > 0 ? emojiItems(message, QUICK_EMOJI) : [], fullTime(message.time));
  }

  /**
   * The few that are used most, and the way to all of them.
   * @param {Message} message
   * @param {{ left: number, right: number, top: number, bottom: number }} at
   * @param {HTMLElement} opener
   */
  function quickEmoji(message, at, opener) {
    const all = { label: words.emoji.more, act: () => pickEmoji(opener, (emoji) => can.react(message, emoji), at) };
    openMenu(at, opener, text.pick, [all], emojiItems(message, QUICK_EMOJI));
  }

  /**
   * @param {Message} message
   * @param {string[]} emoji
   */
  function emojiItems(message, emoji) {
    return emoji.map((label) => ({ label, act: () => can.react(message, label) }));
  }

  /** @param {Message} message */
  function mayRemove(message) {
    return message.from === can.me().name || can.me().admin;
  }

  /** @param {Message} message */
  function confirmRemove(message) {
    const ask = words.ask;
    askFirst({ heading: ask.deleteHeading, text: ask.deleteText, yes: ask.deleteYes, act: () => can.remove(message) });
  }

  return {
    /** After an article was built anew: the bar goes back where it was. */
    refresh() {
      if (host?.isConnected && !bar.isConnected) attach(host);
    },
  };
}
