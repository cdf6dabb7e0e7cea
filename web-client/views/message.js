/** One message: an `article` with author, time and text, whatever its state. */

import { auto, h, unseen } from "../dom.js";
import { icon } from "../icons.js";
import { amount } from "../language.js";
import { mentions } from "../mentions.js";
import { attachedTo } from "../pending.js";
import { firstLine } from "../text.js";
import { clockTime, tightTime } from "../time.js";
import { problemWords, words } from "../words.js";
import { avatar } from "./avatar.js";
import { timeView } from "./controls.js";
import { fileList } from "./files.js";
import { markup } from "./markup.js";

/**
 * @typedef {import("../types.js").Message} Message
 * @typedef {import("../pending.js").Shown} Shown
 *
 * @typedef {object} Row  a message as the list shows it
 * @property {Shown} shown
 * @property {boolean} grouped under the name above it
 * @property {string} display
 * @property {string} signature everything that changes how it looks
 * @property {{ name: string, text: string } | null} quote what it replies to
 *
 * @typedef {object} Acts
 * @property {(message: Message, emoji: string) => void} react
 * @property {(id: string) => void} again
 * @property {(message: Message, item: import("../types.js").Item) => void} editAgain what was typed, on the wording there is now
 * @property {(id: string) => void} discard
 * @property {(text: string) => void} copy
 * @property {(seq: number) => void} show goes to the message of that number
 * @property {(message: Message) => void} versions shows what it said before
 * @property {(name: string) => string} display
 * @property {() => string} me
 * @property {(name: string) => boolean} known whether somebody has that name
 * @property {(name: string) => boolean} gone whether that account was deleted
 * @property {() => string[]} nodes the public URLs of this chat's servers
 * @property {import("./files.js").Shelf} shelf
 * @property {() => number} people how many are known
 */

const QUOTE_CHARACTERS = 120;

/** @param {Row} row */
export function createMessage(row) {
  const element = h("article.message", { tabIndex: -1 });
  element.dataset.key = row.shown.key;
  return element;
}

/**
 * Builds the inside anew when something about it has changed.
 * @param {HTMLElement} element
 * @param {Row} row
 * @param {Acts} acts
 */
export function updateMessage(element, row, acts) {
  if (element.dataset.signature === row.signature) return;
  const hadFocus = element.contains(document.activeElement) && element !== document.activeElement;
  element.dataset.signature = row.signature;
  const { message, state, item } = row.shown;
  element.dataset.seq = String(message.seq);
  const calls = message.from !== acts.me() && mentions(message.text, acts.me());
  element.className = ["message", row.grouped && "grouped", state !== "sent" && state, message.deleted && "deleted", calls && "calls"].filter(Boolean).join(" ");
  const time = timeView(message.time, row.grouped ? tightTime(message.time) : clockTime(message.time));
  const author = h("span.author", auto, row.display);
  if (row.display !== message.from && !acts.gone(message.from)) author.append(h("span.login-name", ` ${message.from}`));
  const body = h("div.body", h("header", author, " ", time));
  if (row.quote) body.append(quote(row.quote, message.reply_to ?? 0, acts));
  if (message.text !== "" || message.deleted || message.edited) body.append(textOf(message, acts));
  if (message.files.length > 0 && !message.deleted) body.append(fileList(message.files, acts.shelf));
  const reactions = reactionRow(message, acts);
  if (reactions) body.append(reactions);
  if (state === "failed" && item) body.append(failure(message, item, acts));
  /** @type {Node[]} */
  const parts = [body];
  if (!row.grouped) parts.unshift(avatar(message.from, row.display));
  if (state === "sending") parts.push(h("span.state", icon("clock"), h("span", words.message.sending)));
  element.replaceChildren(...parts);
  if (hadFocus) element.focus({ preventScroll: true });
}

/**
 * @param {Message} message
 * @param {Acts} acts
 */
function textOf(message, acts) {
  if (message.deleted) return h("p.text.gone", words.message.deleted);
  const element = markup(message.text, { known: acts.known, me: acts.me(), nodes: acts.nodes });
  if (message.edited) {
    const mark = h("button.edited", { title: words.message.versions, onclick: () => acts.versions(message) }, words.message.edited);
    const last = element.lastElementChild;
    if (last?.tagName === "P") last.append(" ", mark);
    else element.append(h("p", mark));
  }
  return element;
}

/**
 * @param {{ name: string, text: string }} to
 * @param {number} seq
 * @param {Acts} acts
 */
function quote(to, seq, acts) {
  return h(
    "button.quote",
    { onclick: () => acts.show(seq) },
    unseen(`${words.message.replyTo(to.name)}: `),
    h("span.quoted-author", { "aria-hidden": "true", dir: "auto" }, to.name),
    " ",
    h("span", auto, firstLine(to.text, QUOTE_CHARACTERS)),
  );
}

/**
 * @param {Message} message
 * @param {Acts} acts
 */
function reactionRow(message, acts) {
  const all = Object.entries(message.reactions);
  if (all.length === 0 || message.deleted) return null;
  const me = acts.me();
  return h(
    "ul.reactions",
    ...all.map(([emoji, names]) => {
      const people = names.map((name) => (name === me ? words.people.you : acts.display(name)));
      return h(
        "li",
        h(
          "button.reaction",
          {
            "aria-pressed": String(names.includes(me)),
            title: people.join(", "),
            onclick: () => acts.react(message, emoji),
          },
          h("span.emoji", emoji),
          h("span.number", ` ${amount(names.length)}`),
        ),
      );
    }),
  );
}

/**
 * Why it was not done, and what one can do. A change that was refused shows what had been typed: the message shows it no more.
 * @param {Message} message
 * @param {import("../types.js").Item} item
 * @param {Acts} acts
 */
function failure(message, item, acts) {
  const text = words.message;
  const send = item.op === "send";
  const lost = item.problem?.code === "not_found" && attachedTo(item).length > 0;
  const why = lost ? words.files.gone : item.problem ? problemWords(item.problem) : "";
  const typed = item.fields.text ?? "";
  const button = (/** @type {string} */ label, /** @type {() => void} */ act) => h("button.link-button", { onclick: act }, label);
  // Against the same wording it would be refused again.
  const overtaken = item.op === "edit" && item.problem?.code === "conflict";
  const retry = overtaken ? !message.deleted && button(text.editAgain, () => acts.editAgain(message, item)) : button(text.again, () => acts.again(item.id));
  return h(
    "div.failure",
    h("span", icon("alert"), ` ${send ? text.failed : text.failedChange}: ${why}`),
    !send && typed && h("p.wording", auto, unseen(`${text.typed}: `), typed),
    h(
      "span.row.tight",
      retry,
      typed && button(text.copy, () => acts.copy(typed)),
      button(send ? text.remove : text.discard, () => acts.discard(item.id)),
    ),
  );
}
