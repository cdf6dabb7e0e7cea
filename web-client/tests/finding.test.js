import assert from "node:assert/strict";
import { test } from "node:test";
import { emojiGroups, findEmoji, withEmoji } from "../emoji.js";
import { best, fit } from "../fuzzy.js";

test("each emoji has one name of its own, that a person can type between colons", () => {
  const all = emojiGroups().flat();
  assert.ok(all.length >= 300, String(all.length));
  assert.equal(new Set(all.map((one) => one.emoji)).size, all.length);
  const names = all.map((one) => one.name);
  assert.deepEqual(names.filter((name, at) => names.indexOf(name) !== at), []);
  for (const { emoji, words } of all) {
    assert.match(emoji, /^\p{RGI_Emoji}$/v, emoji);
    for (const word of words) assert.match(word, /^[a-z0-9_+-]+$/, emoji);
  }
});

test("emoji are found by the beginnings of their words, an exact name first", () => {
  assert.equal(findEmoji("heart", 5)[0].emoji, "❤️");
  assert.equal(findEmoji("thumbs up", 5)[0].emoji, "👍");
  assert.deepEqual(findEmoji("zzzz", 5), []);
});

test("names between colons become emoji wherever they stand, but not in code", () => {
  for (const [text, expected] of [
    [":tada:", "🎉"],
    ["well :+1: done :tada:, all", "well 👍 done 🎉, all"],
    ["one\n:rocket:\ntwo", "one\n🚀\ntwo"],
    [":nothing_like_it: and 10:30:45 a::b", ":nothing_like_it: and 10:30:45 a::b"],
    ["x:tada: :tada:x :tada:", "x:tada: :tada:x 🎉"],
    ["` :tada: ` :tada:", "` :tada: ` 🎉"],
    ["```\nkey :tada: value\n```\n:tada:", "```\nkey :tada: value\n```\n🎉"],
  ]) assert.equal(withEmoji(text), expected, text);
});

test("a name fits by its beginning before its inside, and by letters in order last", () => {
  const names = ["engineering", "general", "design-general", "agenda", "random"];
  assert.deepEqual(best("gen", names, (name) => [name], 9), ["general", "design-general", "agenda", "engineering"]);
  assert.equal(best("", names, (name) => [name], 2).length, 2);
  assert.equal(fit("xyz", "general"), 0);
  assert.ok(fit("lea", "Léa") > fit("lea", "Cleaners"));
});
