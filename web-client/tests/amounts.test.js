/** Numbers are written as the reader writes them, in whatever language they are read. */

import assert from "node:assert/strict";
import { test } from "node:test";

// What the reader chose is read when the page begins.
Object.defineProperty(globalThis, "localStorage", { value: { getItem: () => JSON.stringify("de") } });

test("every number in a sentence is written in the reader's own way", async () => {
  const { amount, plural } = await import("../language.js");
  const [{ words }, german, settings] = await Promise.all([import("../words.js"), import("../words.de.js"), import("../settings_words.de.js")]);
  assert.equal(amount(1_234_567.89), "1.234.567,9");
  assert.equal(plural(1, "message", "messages"), "1 message");
  assert.equal(words.nav.unread(12_345), "12.345 unread");
  assert.equal(words.room.pill(2000), "2.000 new messages");
  assert.equal(words.composer.left(4321), "4.321 bytes left");
  assert.equal(german.words.composer.left(4321), "noch 4.321 Byte");
  assert.equal(german.words.status.noMajority(1000), "Keine Mehrheit: nur Lesen; 1.000 Nachrichten warten");
  const { summary } = settings.settingsWords.cluster;
  assert.match(summary("node1", "node1", true, 1, 15_561), /15\.561 Änderungen/);
});
