/** How a person looks, the same everywhere: a round initial with a hue made from the name, and the names themselves. */

import { h } from "../dom.js";

/**
 * @param {string} name the name one logs in with
 * @param {string} display
 */
export function avatar(name, display) {
  const initial = [...display.replace(/^[^\p{L}\p{N}]+/u, "")][0] ?? "?";
  const element = h("span.avatar", { "aria-hidden": "true" }, initial.toUpperCase());
  element.style.setProperty("--hue", String(hue(name)));
  return element;
}

/** @param {string} name */
function hue(name) {
  let hash = 2166136261;
  for (const character of name) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16777619);
  return (hash >>> 0) % 360;
}

/**
 * A person's shown name with, where it differs, the one they log in with.
 * @param {{ name: string, display: string }} user
 */
export function fullName(user) {
  return user.display === user.name ? user.name : `${user.display} (${user.name})`;
}

/**
 * Who is online comes first, then it goes by name.
 * @param {import("../types.js").User} a
 * @param {import("../types.js").User} b
 */
export const onlineFirst = (a, b) => Number(b.online ?? false) - Number(a.online ?? false) || (a.name < b.name ? -1 : 1);
