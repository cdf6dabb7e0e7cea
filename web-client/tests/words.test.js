/** Every language has every word. */

import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { test } from "node:test";
import { words as english } from "../words.js";

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

for (const file of (await readdir(folder)).filter((name) => /^words\.[a-z]+\.js$/.test(name))) {
  test(`${file} has the words of words.js, and no others`, async () => {
    const { words } = await import(new URL(file, folder).href);
    assert.deepEqual(names(words).sort(), names(english).sort());
  });
}
