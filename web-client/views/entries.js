/** What the conversation consists of: messages, and the lines between them. */

import { auto, h } from "../dom.js";
import { dayKey, dayName, sameGroup } from "../time.js";
import { words } from "../words.js";
import { createMessage } from "./message.js";

/**
 * @typedef {import("../pending.js").Shown} Shown
 * @typedef {import("./message.js").Row} Row
 * @typedef {{ kind: "message", key: string, row: Row } | { kind: "day" | "fresh" | "start" | "gap", key: string, text: string }} Entry
 */

/** @param {Entry} entry */
export function createEntry(entry) {
  if (entry.kind === "message") return createMessage(entry.row);
  return h(`p.divider.${entry.kind}`, h("span", auto, entry.text));
}

/**
 * Messages with the lines between them: days, where the new ones begin, and what is left out before those that wait.
 * @param {Shown[]} shown
 * @param {boolean} latest whether nothing is left out
 * @param {number | null} newFrom
 * @param {string} beginning
 * @param {(seq: number) => { name: string, text: string } | null} quote
 * @param {import("./message.js").Acts} acts
 * @returns {Entry[]}
 */
export function entriesOf(shown, latest, newFrom, beginning, quote, acts) {
  /** @type {Entry[]} */
  const entries = [];
  const now = Date.now();
  let day = "";
  let freshDone = newFrom === null;
  let gapDone = latest;
  /** @type {import("../types.js").Message | null} */
  let before = null;
  if (shown[0]?.message.seq === 1) entries.push({ kind: "start", key: "start", text: beginning });
  for (const one of shown) {
    const { message } = one;
    const itsDay = dayKey(message.time);
    let line = false;
    if (itsDay !== day) {
      day = itsDay;
      line = true;
      entries.push({ kind: "day", key: `day ${itsDay}`, text: dayName(message.time, now, words.days) });
    }
    if (!gapDone && message.seq === 0) {
      gapDone = line = true;
      entries.push({ kind: "gap", key: "gap", text: words.room.gap });
    }
    if (!freshDone && newFrom !== null && message.seq >= newFrom) {
      freshDone = true;
      line = true;
      entries.push({ kind: "fresh", key: "fresh", text: words.room.fresh });
    }
    const grouped = !line && before !== null && message.reply_to === null && sameGroup(before, message);
    const display = acts.display(message.from);
    const quoted = message.reply_to === null ? null : quote(message.reply_to);
    const signature = JSON.stringify([
      message.at, message.text, message.time, message.deleted, message.edited, message.reactions, message.files.length,
      one.state, one.item?.problem, message.text.includes("@") && acts.people(), grouped, display, quoted && [quoted.name, quoted.text], message.seq,
    ]);
    entries.push({ kind: "message", key: one.key, row: { shown: one, grouped, display, quote: quoted, signature } });
    before = message;
  }
  return entries;
}
