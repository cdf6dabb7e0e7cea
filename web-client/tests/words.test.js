/** Every language has every word. */

import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { test } from "node:test";

const folder = new URL("../", import.meta.url);

/**
 * The names of all words, with what each takes.
 * @param {any} words
 * @param {string} under
 * @returns {string[]}
 */
function names(words, under = "") {
  return Object.entries(words).flatMap(([name, word]) => {
    if (typeof word === "object" && word !== null) return names(word, `${under}${name}.`);
    if (typeof word === "string") assert.notEqual(word.trim(), "", `${under}${name}`);
    return `${under}${name}: ${typeof word}`;
  });
}

for (const file of (await readdir(folder)).filter((name) => /words\.[a-z]+\.js$/.test(name))) {
  const original = file.replace(/\.[a-z]+\.js$/, ".js");
  test(`${file} has the words of ${original}, and no others`, async () => {
    const [there, english] = await Promise.all([import(new URL(file, folder).href), import(new URL(original, folder).href)]);
    const name = original === "words.js" ? "words" : "settingsWords";
    assert.deepEqual(names(there[name]).sort(), names(english[name]).sort());
  });
}
