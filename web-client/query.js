/**
 * What stands in the search box, read: words, and the filters `from:name`, `in:room` and `before:2026-03-31`.
 *
 * @typedef {{ text: string, from: string | null, room: string | null, before: number | null }} Query
 */

import { plainText } from "./markup.js";

const FILTER = /(^|\s)(from|in|before):("[^"]*"|\S+)/giu;
/** Between pieces of a line that marks part. */
const APART = "\u0000";

/**
 * @param {string} typed
 * @returns {Query}
 */
export function readQuery(typed) {
  /** @type {Query} */
  const query = { text: "", from: null, room: null, before: null };
  const filters = {
    from: (/** @type {string} */ given) => (query.from = given.replace(/^@/, "").toLowerCase()),
    in: (/** @type {string} */ given) => (query.room = given.replace(/^#/, "")),
    before: (/** @type {string} */ given) => (query.before = dayOf(given)),
  };
  const rest = typed.replace(FILTER, (whole, space, name, value) => {
    const taken = filters[/** @type {keyof typeof filters} */ (name.toLowerCase())](value.replace(/^"|"$/g, ""));
    // What is no date is a word like any other.
    return taken === null ? whole : space;
  });
  query.text = rest.replace(/\s+/gu, " ").trim();
  return query;
}

/**
 * The beginning of a day here.
 * @param {string} text such as 2026-03-31
 * @returns {number | null} Unix milliseconds
 */
function dayOf(text) {
  const match = /^(\d{4})-(\d{1,2})-(\d{1,2})$/.exec(text);
  if (!match) return null;
  const [year, month, day] = match.slice(1).map(Number);
  const date = new Date(year, month - 1, day);
  return date.getMonth() === month - 1 && date.getDate() === day ? date.getTime() : null;
}

/**
 * A text as it reads: one line, without the marks of its formatting; and where its hits are in that.
 * @param {string} text
 * @param {readonly (readonly [number, number])[]} hits UTF-16 offsets
 * @returns {{ text: string, hits: [number, number][] }}
 */
export function unmarked(text, hits) {
  let plain = "";
  let at = 0;
  /** @type {[number, number][]} */
  const moved = [];
  // Between the marks, what is shown stands in the text as it is, line by line.
  for (const [index, line] of plainText(text, APART).split("\n").entries()) {
    if (index > 0) plain = plain && `${plain.trimEnd()} `;
    for (const piece of line.split(APART)) {
      const from = Math.max(at, text.indexOf(piece, at));
      at = from + piece.length;
      const by = plain.length - from;
      moved.push(...hits.filter(([start, end]) => start < at && end > from).map(([start, end]) => /** @type {[number, number]} */ ([Math.max(start, from) + by, Math.min(end, at) + by])));
      plain += piece;
    }
  }
  return { text: plain, hits: moved };
}

/**
 * Where the words that are looked for stand in a file's name.
 * @param {string} name
 * @param {string} wanted
 * @returns {[number, number][]}
 */
export function namedBy(name, wanted) {
  const lower = name.toLowerCase();
  return wanted.toLowerCase().split(/[\s"*]+/).filter(Boolean).flatMap((word) => {
    const at = lower.indexOf(word);
    return at < 0 ? [] : [/** @type {[number, number]} */ ([at, at + word.length])];
  });
}

/**
 * A text cut at its hits, from a little before the first one on.
 * @param {string} text
 * @param {readonly (readonly [number, number])[]} hits UTF-16 offsets
 * @param {number} before so many characters are shown before the first hit
 * @param {number} length and so many in all
 * @returns {{ text: string, hit: boolean }[]}
 */
export function excerpt(text, hits, before, length) {
  const sound = hits.filter(([start, end]) => start >= 0 && end > start && end <= text.length).sort((a, b) => a[0] - b[0]);
  const first = sound[0]?.[0] ?? 0;
  let from = first > before ? first - before : 0;
  // Not in the middle of a word, nor of a character.
  while (from > 0 && from < first && !/\s/u.test(text[from - 1])) from += 1;
  let to = Math.min(text.length, from + length);
  if (to < text.length && /[\uDC00-\uDFFF]/.test(text[to])) to -= 1;
  /** @type {{ text: string, hit: boolean }[]} */
  const out = [];
  const push = (/** @type {number} */ start, /** @type {number} */ end, /** @type {boolean} */ hit) => {
    if (end > start) out.push({ text: text.slice(start, end), hit });
  };
  let at = from;
  if (from > 0) out.push({ text: "…", hit: false });
  for (const [start, end] of sound) {
    if (start >= to) break;
    if (end <= at) continue;
    push(at, Math.max(at, start), false);
    push(Math.max(at, start), Math.min(end, to), true);
    at = Math.min(end, to);
  }
  push(at, to, false);
  if (to < text.length) out.push({ text: "…", hit: false });
  return out;
}
