import assert from "node:assert/strict";
import { test } from "node:test";
import { inline, isEmojiOnly, parse } from "../markup.js";
import { mentions } from "../mentions.js";

/** What is shown, with the kinds as brackets: short enough to read in a table. @param {import("../markup.js").Inline[]} pieces @returns {string} */
const shown = (pieces) =>
  pieces.map((piece) => ("children" in piece ? `${piece.kind}(${shown(piece.children)})` : piece.kind === "text" ? piece.text : `${piece.kind}(${piece.text})`)).join("");
/** @param {import("../markup.js").Block[]} blocks @returns {string} */
const outline = (blocks) =>
  blocks
    .map((block) => {
      if (block.kind === "paragraph") return `p[${shown(block.children)}]`;
      if (block.kind === "quote") return `q[${outline(block.blocks)}]`;
      if (block.kind === "fence") return `f[${block.text}]`;
      return `${block.start === null ? "ul" : `ol${block.start}`}[${block.items.map(shown).join("|")}]`;
    })
    .join(" ");
const links = (/** @type {string} */ text) => inline(text).flatMap((piece) => (piece.kind === "link" ? [piece.text] : []));

test("marks at the edges of words are formatting, anywhere else they are what was typed", () => {
  for (const [text, expected] of [
    ["**bold** *it* _it_ __bold__ ~~gone~~", "strong(bold) em(it) em(it) strong(bold) del(gone)"],
    ["**bold with *italics* in it**", "strong(bold with em(italics) in it)"],
    ["snake_case_name and 2*3*4 and a * b * c", "snake_case_name and 2*3*4 and a * b * c"],
    ["(*so*), *so*!", "(em(so)), em(so)!"],
    ["**not closed and *neither", "**not closed and *neither"],
    ["*crossed **over* here**", "em(crossed **over) here**"],
    ["** ** __ ****", "** ** __ ****"],
    ["***both***", "***both***"],
    ["`a *b* c` ``x ` y`` `open", "code(a *b* c) code(x ` y) `open"],
    ["*ünï*: größe_", "em(ünï): größe_"],
  ]) assert.equal(shown(inline(text)), expected, text);
});

test("blocks are lines that begin alike", () => {
  for (const [text, expected] of [
    ["a\nb", "p[a\nb]"],
    ["> quoted\n> **more**\nsaid", "q[p[quoted\nstrong(more)]] p[said]"],
    ["> > deeper", "q[q[p[deeper]]]"],
    [">_> no quote", "p[>_> no quote]"],
    ["before\n\n- one\n- two\n\nafter", "p[before] ul[one|two] p[after]"],
    ["3. three\n4. four", "ol3[three|four]"],
    ["-1 is a number, 12.5 too", "p[-1 is a number, 12.5 too]"],
    ["```js\nlet *a* = `1`;\n\n> x\n```\nafter", "f[let *a* = `1`;\n\n> x] p[after]"],
    ["```\nnot closed", "p[```\nnot closed]"],
    ["a\n\nb", "p[a\n\nb]"],
    ["  indented", "p[  indented]"],
  ]) assert.equal(outline(parse(text)), expected, text);
});

test("links are http, https and mailto only, without the sentence's own marks", () => {
  for (const [text, found] of /** @type {[string, string[]][]} */ ([
    ["see https://example.org/a?b=c#d.", ["https://example.org/a?b=c#d"]],
    ["(https://example.org/x_(y)) and http://b.example,", ["https://example.org/x_(y)", "http://b.example"]],
    ["javascript:alert(1) data:text/html,x ftp://a", []],
    ["[here](javascript:alert(1)) [x](data:text/html,x)", []],
    ["[the page](https://example.org/a_b_c) **https://b.example**", ["the page"]],
    ["[https://bank.example](https://evil.example)", ["https://evil.example"]],
    ["https://", []],
    ["xhttps://a.example", []],
    ["<https://example.org>\"https://example.net\"", ["https://example.org", "https://example.net"]],
    ["https://example.org/דף", ["https://example.org/דף"]],
    ["mailto:ann@example.org, mailto:nobody", ["mailto:ann@example.org"]],
    ["https://a.example/_b_/*c*/d", ["https://a.example/_b_/*c*/d"]],
  ])) assert.deepEqual(links(text), found, text);
  assert.equal(shown(inline("**https://b.example**")), "strong(link(https://b.example))");
});

test("mentions are whole names that somebody has", () => {
  const known = (/** @type {string} */ name) => ["ann", "bob.", "x-y"].includes(name);
  assert.equal(shown(inline("@ann, @Ann. (@ann) @annabel mail@ann @bob. @x-y- @x-y", known)), "mention(@ann), mention(@Ann). (mention(@ann)) @annabel mail@ann mention(@bob.) mention(@x-y)- mention(@x-y)");
  assert.equal(shown(inline("*@ann* `@ann`", known)), "em(mention(@ann)) code(@ann)");
  assert.equal(mentions("hello @ANN.", "ann"), true);
  assert.equal(mentions("hello @annabel", "ann"), false);
});

test("a message of a few emoji is one", () => {
  for (const text of ["👍", "🎉 🎉", "👩‍💻", "🇩🇪", "❤️"]) assert.equal(isEmojiOnly(text), true, text);
  for (const text of ["", "1", "👍 ok", "👍".repeat(30), "#"]) assert.equal(isEmojiOnly(text), false, text);
});

/** How deep the pieces lie in each other. @param {any[]} pieces @returns {number} */
const depth = (pieces) => Math.max(0, ...pieces.slice(0, 1000).map((piece) => 1 + depth(piece.blocks ?? piece.children ?? [])));

// What is over the bound is no matter of a machine's speed: it would not end at all.
test("hostile text is read to its end, and never nests deeply", { timeout: 60_000 }, () => {
  for (const piece of [
    "*", "**a ", "_a *b ~~c ", "`", "` `` ``` ", "> ", "> > > > > > ", "[", "[a](", "@", "@a.-", "https://", "h", "(https://a.example/)", "```\n", "```x\n",
    "- a\n", "1. a\n", "*a* ", "👍\u200d", "a\n\n", "))))", "https://a.example/)", "*_**__~~",
  ]) {
    const blocks = parse(piece.repeat(64 * 1024 / piece.length));
    assert.ok(depth(blocks) <= 20, `${piece}: ${depth(blocks)}`);
  }
});

test("text without marks stays as it is", () => {
  const plain = "no marks in here at all, just words\nand lines";
  assert.equal(outline(parse(plain)), `p[${plain}]`);
});
