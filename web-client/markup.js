/**
 * A message's text, read into what is shown: light formatting, links and mentions. Nothing in it is ever markup to the browser;
 * `views/markup.js` builds nodes from what comes out here. One pass for blocks, one for each line's inside; nesting is bounded.
 *
 * @typedef {{ kind: "text", text: string }} Text
 * @typedef {{ kind: "strong" | "em" | "del", children: Inline[] }} Styled
 * @typedef {{ kind: "code", text: string }} Code
 * @typedef {{ kind: "link", text: string, href: string }} Link
 * @typedef {{ kind: "mention", text: string, name: string }} Mention
 * @typedef {Text | Styled | Code | Link | Mention} Inline
 *
 * @typedef {{ kind: "paragraph", children: Inline[] }} Paragraph
 * @typedef {{ kind: "quote", blocks: Block[] }} Quote
 * @typedef {{ kind: "list", start: number | null, items: Inline[][] }} List  `start` of a numbered one
 * @typedef {{ kind: "fence", text: string }} Fence
 * @typedef {Paragraph | Quote | List | Fence} Block
 */

import { mentionAt } from "./mentions.js";

const DEPTH_MAX = 4;
const OPEN_MAX = 12;

const FENCE = /^\s{0,3}```[\w+#.-]*\s*$/;
const FENCE_END = /^\s{0,3}```\s*$/;
const QUOTED = /^\s{0,3}>(?: |$)/;
const BULLET = /^\s{0,3}[-*•] (?=\S)/;
const NUMBER = /^\s{0,3}(\d{1,4})[.)] (?=\S)/;

const BARE = /(?:https?:\/\/|mailto:)[^\s<>"'`\u0000-\u001f]+/iuy;
const NAMED = /\[([^[\]\n]{1,200})\]\(((?:https?:\/\/|mailto:)[^\s<>"'`()\u0000-\u001f]{1,2000})\)/iuy;
const CLOSING = /[.,;:!?…。，、)\]}»”’*_~]$/u;
const WORD = /[\p{L}\p{N}_]/u;
/** What a run of marks means; three stars are bold and italic at once, and stay as they are typed. @type {Record<string, Styled["kind"]>} */
const STYLES = { "**": "strong", __: "strong", "*": "em", _: "em", "~~": "del" };

/**
 * @param {string} text
 * @param {(name: string) => boolean} known whether somebody has that name
 * @returns {Block[]}
 */
export function parse(text, known = () => true) {
  return blocksOf(text.split("\n"), known, 0);
}

/**
 * @param {string[]} lines
 * @param {(name: string) => boolean} known
 * @param {number} depth
 * @returns {Block[]}
 */
function blocksOf(lines, known, depth) {
  /** @type {Block[]} */
  const blocks = [];
  /** @type {string[]} */
  let plain = [];
  const flush = () => {
    // An empty line between a block and its neighbours is what sets them apart, not more text.
    while (plain.length > 0 && blocks.length > 0 && plain[0].trim() === "") plain.shift();
    while (plain.at(-1)?.trim() === "") plain.pop();
    if (plain.length > 0) blocks.push({ kind: "paragraph", children: inline(plain.join("\n"), known) });
    plain = [];
  };
  // Where the last search for a fence's end found nothing, the next one finds nothing either.
  let endless = false;
  for (let at = 0; at < lines.length; ) {
    const line = lines[at];
    if (!endless && FENCE.test(line)) {
      let end = at + 1;
      while (end < lines.length && !FENCE_END.test(lines[end])) end += 1;
      if (end < lines.length) {
        flush();
        blocks.push({ kind: "fence", text: lines.slice(at + 1, end).join("\n") });
        at = end + 1;
        continue;
      }
      endless = true;
    }
    if (depth < DEPTH_MAX && QUOTED.test(line)) {
      flush();
      const inside = taken(lines, at, QUOTED);
      blocks.push({ kind: "quote", blocks: blocksOf(inside.map((quoted) => quoted.replace(QUOTED, "")), known, depth + 1) });
      at += inside.length;
      continue;
    }
    const mark = BULLET.test(line) ? BULLET : NUMBER.test(line) ? NUMBER : null;
    if (mark) {
      flush();
      const items = taken(lines, at, mark);
      const start = mark === NUMBER ? Number(NUMBER.exec(line)?.[1]) : null;
      blocks.push({ kind: "list", start, items: items.map((item) => inline(item.replace(mark, ""), known)) });
      at += items.length;
      continue;
    }
    plain.push(line);
    at += 1;
  }
  flush();
  return blocks;
}

/**
 * The lines from here on that begin like this one.
 * @param {string[]} lines
 * @param {number} from
 * @param {RegExp} mark
 */
function taken(lines, from, mark) {
  let to = from;
  while (to < lines.length && mark.test(lines[to])) to += 1;
  return lines.slice(from, to);
}

/**
 * @param {string} text
 * @param {(name: string) => boolean} [known]
 * @returns {Inline[]}
 */
export function inline(text, known = () => true) {
  /** @type {Inline[]} */
  const out = [];
  /** Marks that wait for their other half, and where in `out` what they enclose begins. @type {{ mark: string, at: number }[]} */
  let open = [];
  /** Runs of backticks that have no other half further on. @type {Set<number>} */
  const lonely = new Set();
  let plain = "";
  const flush = () => {
    if (plain !== "") out.push({ kind: "text", text: plain });
    plain = "";
  };
  for (let at = 0; at < text.length; ) {
    const character = text[at];
    const special = character === "`" ? code(text, at, lonely) : tokenAt(text, at, known);
    if (special) {
      flush();
      out.push(special.node);
      at += special.length;
      continue;
    }
    const run = character === "`" || character === "*" || character === "_" || character === "~" ? runAt(text, at) : character;
    const style = STYLES[run];
    if (style) {
      const [opens, closes] = sides(text, at, run.length);
      const other = closes ? open.findLastIndex((one) => one.mark === run) : -1;
      if (other >= 0 && (out.length > open[other].at || plain !== "")) {
        flush();
        const children = out.splice(open[other].at + 1);
        // The mark stood as text until its other half came.
        out.pop();
        out.push({ kind: style, children });
        open = open.slice(0, other);
        at += run.length;
        continue;
      }
      if (opens && open.length < OPEN_MAX) {
        flush();
        open.push({ mark: run, at: out.length });
        out.push({ kind: "text", text: run });
        at += run.length;
        continue;
      }
    }
    plain += run;
    at += run.length;
  }
  flush();
  return joined(out);
}

/**
 * Neighbouring plain pieces become one again.
 * @param {Inline[]} pieces
 * @returns {Inline[]}
 */
function joined(pieces) {
  /** @type {Inline[]} */
  const out = [];
  for (const piece of pieces) {
    const before = out.at(-1);
    if (piece.kind === "text" && before?.kind === "text") out[out.length - 1] = { kind: "text", text: before.text + piece.text };
    else out.push("children" in piece ? { ...piece, children: joined(piece.children) } : piece);
  }
  return out;
}

/**
 * @param {string} text
 * @param {number} at
 */
function runAt(text, at) {
  let end = at;
  while (text[end] === text[at]) end += 1;
  return text.slice(at, end);
}

/**
 * Whether a run of marks can begin something, and whether it can end it: it stands at a word's edge, outside of which is no word.
 * @param {string} text
 * @param {number} at
 * @param {number} length
 */
function sides(text, at, length) {
  const before = text[at - 1] ?? " ";
  const after = text[at + length] ?? " ";
  return [/\S/.test(after) && !WORD.test(before), /\S/.test(before) && !WORD.test(after)];
}

/**
 * @param {string} text
 * @param {number} at a backtick
 * @param {Set<number>} lonely
 * @returns {{ node: Inline, length: number } | null}
 */
function code(text, at, lonely) {
  const mark = runAt(text, at);
  if (lonely.has(mark.length) || text[at - 1] === "`") return null;
  for (let end = text.indexOf(mark, at + mark.length); end >= 0; ) {
    const found = runAt(text, end);
    if (found.length === mark.length) {
      const inside = text.slice(at + mark.length, end);
      // A space on both sides is there to keep backticks apart.
      const tight = mark.length > 1 && /^ .* $/s.test(inside) ? inside.slice(1, -1) : inside;
      return { node: { kind: "code", text: tight }, length: end + mark.length - at };
    }
    end = text.indexOf(mark, end + found.length);
  }
  lonely.add(mark.length);
  return null;
}

/**
 * A link or a mention that begins here.
 * @param {string} text
 * @param {number} at
 * @param {(name: string) => boolean} known
 * @returns {{ node: Inline, length: number } | null}
 */
function tokenAt(text, at, known) {
  const character = text[at];
  if (character === "@") {
    const mention = mentionAt(text, at, known);
    return mention && { node: { kind: "mention", text: mention.text, name: mention.name }, length: mention.text.length };
  }
  if (character === "[") {
    NAMED.lastIndex = at;
    const match = NAMED.exec(text);
    const href = match && safeLink(match[2]);
    // Words that pretend to be an address of their own are not hidden behind another one.
    if (!match || !href || /:\/\/|www\./i.test(match[1])) return null;
    return { node: { kind: "link", text: match[1], href }, length: match[0].length };
  }
  if ((character === "h" || character === "H" || character === "m" || character === "M") && !WORD.test(text[at - 1] ?? " ")) {
    BARE.lastIndex = at;
    const match = BARE.exec(text);
    const link = match && withoutClosing(match[0]);
    const href = link && safeLink(link);
    return href ? { node: { kind: "link", text: link, href }, length: link.length } : null;
  }
  return null;
}

/**
 * A full stop or bracket behind a link belongs to the sentence, unless the link opened that bracket.
 * @param {string} link
 */
function withoutClosing(link) {
  const opened = link.split("(").length;
  let closed = link.split(")").length;
  let end = link.length;
  for (; end > 0 && CLOSING.test(link[end - 1]); end--) {
    if (link[end - 1] !== ")") continue;
    if (opened >= closed) break;
    closed -= 1;
  }
  return link.slice(0, end);
}

/** @param {string} link */
function safeLink(link) {
  try {
    const url = new URL(link);
    if (url.protocol === "mailto:") return /^[^\s@]+@[^\s@]+$/.test(url.pathname) ? url.href : null;
    return (url.protocol === "http:" || url.protocol === "https:") && url.hostname ? url.href : null;
  } catch {
    return null;
  }
}

const EMOJI_ONLY = /^(?:\p{Extended_Pictographic}(?:\uFE0F|\p{Emoji_Modifier}|\u200D\p{Extended_Pictographic}\uFE0F?)*|\p{Regional_Indicator}{2}|\s){1,8}$/u;

/**
 * What a text says, line by line, without the marks of its formatting.
 * @param {string} text
 * @param {string} [apart] stands between pieces of a line that marks part
 */
export function plainText(text, apart = "") {
  /** @param {Inline} piece @returns {string} */
  const said = (piece) => ("children" in piece ? piece.children.map(said).join(apart) : piece.text);
  /** @param {Block} block @returns {string} */
  const saidIn = (block) => {
    if (block.kind === "fence") return block.text;
    if (block.kind === "quote") return block.blocks.map(saidIn).join("\n");
    return (block.kind === "list" ? block.items : [block.children]).map((pieces) => pieces.map(said).join(apart)).join("\n");
  };
  return parse(text).map(saidIn).join("\n");
}

/**
 * Whether a message is a few emoji and nothing else, which are shown larger.
 * @param {string} text
 */
export function isEmojiOnly(text) {
  return text.length <= 40 && text.trim() !== "" && EMOJI_ONLY.test(text);
}
