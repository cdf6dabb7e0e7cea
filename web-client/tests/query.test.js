import assert from "node:assert/strict";
import { test } from "node:test";
import { excerpt, namedBy, readQuery, unmarked } from "../query.js";

test("filters are taken out of what is searched for", () => {
  const march = new Date(2026, 2, 31).getTime();
  for (const [typed, expected] of /** @type {[string, Partial<import("../query.js").Query>][]} */ ([
    ["two words", { text: "two words" }],
    ["from:@Ann in:#general repl*", { text: "repl*", from: "ann", room: "general" }],
    ["in:\"big room\" \"a phrase\"", { text: "\"a phrase\"", room: "big room" }],
    ["before:2026-03-31 x", { text: "x", before: march }],
    ["before:tomorrow before:2026-02-31", { text: "before:tomorrow before:2026-02-31" }],
    ["https://from:x.example", { text: "https://from:x.example" }],
    ["from: nobody", { text: "from: nobody" }],
  ])) assert.deepEqual(readQuery(typed), { text: "", from: null, room: null, before: null, ...expected }, typed);
});

test("an excerpt begins near its first hit and marks every hit in it", () => {
  const shown = (/** @type {string} */ text, /** @type {[number, number][]} */ hits, before = 10, length = 40) =>
    excerpt(text, hits, before, length).map((piece) => (piece.hit ? `[${piece.text}]` : piece.text)).join("");
  assert.equal(shown("one two three", [[4, 7]]), "one [two] three");
  assert.equal(shown("one two three", [[8, 13], [0, 3]]), "[one] two [three]");
  assert.equal(shown(`${"word ".repeat(10)}hit and more words behind it to the end`, [[50, 53]]), "…word word [hit] and more words behind it t…");
  assert.equal(shown("abc", []), "abc");
  assert.equal(shown("abc", [[-1, 2], [2, 9], [2, 1]]), "abc", "offsets that cannot be are left out");
  assert.equal(shown("aaaa", [[0, 2], [1, 3]]), "[aa][a]a");
  assert.equal(shown("👍👍👍", [], 0, 3), "👍…");
});

test("a hit reads without the marks of its formatting, and keeps its place", () => {
  const shown = (/** @type {string} */ text, /** @type {string[]} */ ...words) => {
    const hits = words.map((word) => /** @type {[number, number]} */ ([text.indexOf(word), text.indexOf(word) + word.length]));
    const found = unmarked(text, hits);
    assert.ok(found.hits.every(([start, end]) => start >= 0 && end <= found.text.length && start < end), text);
    return excerpt(found.text, found.hits, 99, 999).map((piece) => (piece.hit ? `[${piece.text}]` : piece.text)).join("");
  };
  for (const [text, word, expected] of [
    ["**node** and `node` in *one* line", "one", "node and node in [one] line"],
    ["**node** is *up*", "node** is", "[node][ is] up"],
    ["a * b\n\nand **b**", "and", "a * b [and] b"],
    ["```rust\nlet rust = 1;\n```\nsaid", "said", "let rust = 1; [said]"],
    ["> quoted **deep**\n> more\nbelow", "more", "quoted deep [more] below"],
    ["1. first\n2. second", "second", "first [second]"],
    ["see [the page](https://x.example/page) now", "now", "see the page [now]"],
    ["snake_case stays, so does 2*3", "2*3", "snake_case stays, so does [2*3]"],
  ]) assert.equal(shown(text, word), expected, text);
  assert.deepEqual(unmarked("", []), { text: "", hits: [] });
});

test("a file's name is marked where it holds what is looked for", () => {
  assert.deepEqual(namedBy("The Report 2026.pdf", "\"report 20*\""), [[4, 10], [11, 13]]);
  assert.deepEqual(namedBy("a.txt", "heron *"), []);
});
