/**
 * Which language the page speaks, and how times and numbers are written. English is part of the page; another
 * language is loaded when the reader's browser asks for it or the reader chose it.
 */

import { forget, recall, remember } from "./db.js";

const KEY = "language";

/** Each in its own words. @type {Record<string, string>} */
export const LANGUAGES = { en: "English", de: "Deutsch" };

/** What the reader chose; null leaves it to the browser. @type {string | null} */
export const chosen = Object.hasOwn(LANGUAGES, recall(KEY) ?? "") ? recall(KEY) : null;

const wanted = globalThis.navigator?.languages ?? [];
const base = (/** @type {string} */ tag) => tag.toLowerCase().split("-")[0];

export const language = chosen ?? wanted.map(base).find((code) => Object.hasOwn(LANGUAGES, code)) ?? "en";

/** For `Intl`: the reader's own form of the chosen language; without a choice, the browser's own. */
export const locale = chosen === null ? undefined : (wanted.find((tag) => base(tag) === chosen) ?? chosen);

const numbers = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });

/** A number as the reader writes it. @param {number} count */
export const amount = (count) => numbers.format(count);

/**
 * So many of something.
 * @param {number} count
 * @param {string} one
 * @param {string} many
 */
export const plural = (count, one, many) => `${amount(count)} ${count === 1 ? one : many}`;

/** @param {string | null} code null leaves it to the browser */
export function chooseLanguage(code) {
  if (code === null) forget(KEY);
  else remember(KEY, code);
  location.reload();
}
