/**
 * A message's text, cut into what is shown: plain pieces and links. Nothing in it is ever markup.
 *
 * @typedef {{ text: string, href?: string }} Piece
 */

const LINK = /\bhttps?:\/\/[^\s<>"'`\u0000-\u001f]+/giu;
const CLOSING = /[.,;:!?…。，、)\]}»”’*_]$/u;

/**
 * @param {string} text
 * @returns {Piece[]}
 */
export function pieces(text) {
  /** @type {Piece[]} */
  const out = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const link = withoutClosing(match[0]);
    const href = safeLink(link);
    if (!href) continue;
    if (match.index > from) out.push({ text: text.slice(from, match.index) });
    out.push({ text: link, href });
    from = match.index + link.length;
  }
  if (from < text.length) out.push({ text: text.slice(from) });
  return out;
}

/**
 * What is sent for what was typed: without white space around it that nobody sees, and without NUL.
 * @param {string} typed
 */
export function tidied(typed) {
  return typed.replaceAll("\u0000", "").replace(/^(?:[^\S\n]*\n)+/u, "").replace(/\s+$/u, "");
}

const encoder = new TextEncoder();

/** @param {string} text */
export function byteLength(text) {
  return encoder.encode(text).length;
}

/**
 * One line of a text, for quotes.
 * @param {string} text
 * @param {number} characters
 */
export function firstLine(text, characters) {
  const line = text.replace(/\s+/gu, " ").trim();
  const points = [...line];
  return points.length > characters ? `${points.slice(0, characters - 1).join("")}…` : line;
}

/**
 * A full stop or bracket behind a link belongs to the sentence, unless the link opened that bracket.
 * @param {string} link
 */
function withoutClosing(link) {
  let cut = link;
  while (CLOSING.test(cut)) {
    const end = cut.at(-1);
    if (end === ")" && count(cut, "(") >= count(cut, ")")) break;
    cut = cut.slice(0, -1);
  }
  return cut;
}

/**
 * @param {string} text
 * @param {string} mark
 */
function count(text, mark) {
  return text.split(mark).length - 1;
}

/** @param {string} link */
function safeLink(link) {
  try {
    const url = new URL(link);
    return (url.protocol === "http:" || url.protocol === "https:") && url.hostname ? url.href : null;
  } catch {
    return null;
  }
}
