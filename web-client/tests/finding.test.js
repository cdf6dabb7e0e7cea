import assert from "node:assert/strict";
import { test } from "node:test";
import { emojiGroups, emojiNamed, findEmoji } from "../emoji.js";
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
  assert.equal(emojiNamed("tada"), "🎉");
  assert.equal(emojiNamed("+1"), "👍");
  assert.equal(emojiNamed("nothing_like_it"), null);
  assert.equal(findEmoji("heart", 5)[0].emoji, "❤️");
  assert.equal(findEmoji("thumbs up", 5)[0].emoji, "👍");
  assert.deepEqual(findEmoji("zzzz", 5), []);
});

test("a name fits by its beginning before its inside, and by letters in order last", () => {
  const names = ["engineering", "general", "design-general", "agenda", "random"];
  assert.deepEqual(best("gen", names, (name) => [name], 9), ["general", "design-general", "agenda", "engineering"]);
  assert.equal(best("", names, (name) => [name], 2).length, 2);
  assert.equal(fit("xyz", "general"), 0);
  assert.ok(fit("lea", "Léa") > fit("lea", "Cleaners"));
});
