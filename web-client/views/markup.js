/** Light formatting as nodes. */

import { auto, h, pressed } from "../dom.js";
import { jump, placeLink, placeOf } from "../jump.js";
import { isEmojiOnly, parse } from "../markup.js";

/**
 * @typedef {import("../markup.js").Block} Block
 * @typedef {import("../markup.js").Inline} Inline
 *
 * @typedef {object} Names  who is who, for mentions, and which servers are this chat's, for links
 * @property {(name: string) => boolean} known
 * @property {string} me
 * @property {() => string[]} nodes their public URLs
 */

/**
 * @param {string} text
 * @param {Names} names
 * @returns {HTMLDivElement}
 */
export function markup(text, names) {
  const element = h(isEmojiOnly(text) ? "div.text.big" : "div.text");
  element.append(...parse(text, names.known).map((block) => blockNode(block, names)));
  return element;
}

/**
 * @param {Block} block
 * @param {Names} names
 * @returns {HTMLElement}
 */
function blockNode(block, names) {
  switch (block.kind) {
    case "fence":
      // Lines of code may be longer than the page is wide: then one moves along them, also by the keyboard.
      return h("pre", { tabIndex: 0 }, h("code", block.text));
    case "quote":
      return h("blockquote", ...block.blocks.map((inner) => blockNode(inner, names)));
    case "list": {
      const items = block.items.map((item) => h("li", auto, ...nodes(item, names)));
      return block.start === null ? h("ul", ...items) : h("ol", { start: block.start === 1 ? null : block.start }, ...items);
    }
    case "paragraph":
      return h("p", auto, ...nodes(block.children, names));
  }
}

/**
 * @param {Inline[]} pieces
 * @param {Names} names
 * @returns {(Node | string)[]}
 */
function nodes(pieces, names) {
  return pieces.map((piece) => {
    switch (piece.kind) {
      case "text":
        return piece.text;
      case "code":
        return h("code", piece.text);
      case "link":
        return linkNode(piece, names);
      case "mention":
        return h(piece.name === names.me ? "span.mention.me" : "span.mention", piece.text);
      default:
        return h(piece.kind, {}, ...nodes(piece.children, names));
    }
  });
}

/**
 * A link. One to a place in this chat stays on this node, where one is logged in, and on this page.
 * @param {import("../markup.js").Link} link
 * @param {Names} names
 */
function linkNode({ text, href }, { nodes }) {
  const place = placeOf(href, nodes());
  if (!place) return h("a", { href, target: "_blank", rel: "noopener noreferrer", title: text === href ? null : href }, text);
  return h("a", { href: placeLink(place.room, place.seq), onclick: pressed(() => jump(place.room, place.seq)) }, text);
}
