/** Every language has every word, and each is said somewhere. */

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";
import { problemWords, words } from "../words.js";

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

/** The page's scripts, but for the words. */
async function sources() {
  const views = (await readdir(new URL("views/", folder))).map((name) => `views/${name}`);
  const files = [...(await readdir(folder)), ...views].filter((name) => name.endsWith(".js") && !name.includes("words"));
  return Promise.all(files.map((file) => readFile(new URL(file, folder), "utf8")));
}

/**
 * Whether a script says a word: by its whole name, or by that of a constant which holds those around it. Where one of several is
 * chosen only when it is said, and where they are handed on together, all of them count.
 * @param {string} source
 * @param {string} parent such as `words.login`
 * @param {string} name
 */
function says(source, parent, name) {
  const held = [...source.matchAll(/const (\w+|\{[^}]+\}) = ([\w.]+);/g)].filter(([, , of]) => `${parent}.`.startsWith(`${of}.`));
  const ways = [parent, ...held.map(([, as, of]) => as + parent.slice(of.length))];
  return ways.some((way) => way.startsWith("{") || new RegExp(`(?<![\\w.])${way.replaceAll(".", "\\.")}(\\.${name}\\b|[[),])`).test(source));
}

test("no word is there that nothing says", async () => {
  const scripts = [...(await sources()), await readFile(new URL("words.js", folder), "utf8")];
  const [{ words }, { settingsWords }] = await Promise.all([import(new URL("words.js", folder).href), import(new URL("settings_words.js", folder).href)]);
  const all = names({ words, settingsWords }).map((name) => name.replace(/: .*/, ""));
  const unsaid = all.filter((path) => {
    const at = path.lastIndexOf(".");
    return !scripts.some((script) => says(script, path.slice(0, at), path.slice(at + 1)));
  });
  assert.deepEqual(unsaid, []);
});

test("a change that met another one is told without the server's own words", () => {
  assert.equal(problemWords({ code: "conflict", message: "this message has changed: look at it", retry: false }), words.problem.conflict);
});
