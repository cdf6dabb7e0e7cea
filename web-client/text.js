/** Texts as they are typed, measured and quoted. */

import { plainText } from "./markup.js";

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
 * One line of what a text says, for quotes.
 * @param {string} text
 * @param {number} characters
 */
export function firstLine(text, characters) {
  const line = plainText(text).replace(/\s+/gu, " ").trim();
  const points = [...line];
  return points.length > characters ? `${points.slice(0, characters - 1).join("")}…` : line;
}
