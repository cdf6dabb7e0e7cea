/**
 * Which language the page speaks, and how times and numbers are written. English is part of the page; another
 * language is loaded when the reader's browser asks for it or the reader chose it.
 */

import { forget, recall, remember } from "./db.js";
import { words } from "./words.js";

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

/** Before anything is shown: the words of the reader's language. */
export async function speak() {
  document.documentElement.lang = language;
  if (language === "en") return;
  try {
    Object.assign(words, (await import("./words.de.js")).words);
  } catch {
    // English, then.
    document.documentElement.lang = "en";
  }
}

/** @param {string | null} code null leaves it to the browser */
export function chooseLanguage(code) {
  if (code === null) forget(KEY);
  else remember(KEY, code);
  location.reload();
}
