/** What one writes: completion, emoji, formatting, drafts, the last message again, and the way to a room by a few letters. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fresh, openBrowser, Person, until, urls } from "./people.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

test("a message is written with completion, and read with its formatting", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  const bob = await Person.arrive(browser, urls[1], fresh("bob"));
  const room = fresh("writing");
  await ann.createRoom(room);
  await until("bob's page lists the room", async () => (await bob.rooms.getByText(room).count()) > 0);
  await bob.open(room);

  // The name of an emoji that comes in one piece, before any emoji is known.
  await ann.box.focus();
  await ann.page.keyboard.insertText(":rocket:");
  await until("the emoji is there", async () => (await ann.box.inputValue()) === "🚀");
  await ann.box.fill("");

  // Names in the middle of what is pasted, but for code.
  await ann.page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await ann.page.evaluate(() => navigator.clipboard.writeText("as `:rocket: ` said :rocket: elsewhere"));
  await ann.page.keyboard.press("Control+V");
  await until("the emoji is in what was pasted", async () => (await ann.box.inputValue()) === "as `:rocket: ` said 🚀 elsewhere");
  await ann.box.fill("");

  // A person by the first letters, taken by Enter, which then does not send.
  await ann.box.pressSequentially(`good morning @${bob.name.slice(0, -1)}`);
  const people = ann.page.getByRole("listbox", { name: "People to mention" });
  await people.getByRole("option", { name: bob.name, selected: true }).waitFor();
  await ann.box.press("Enter");
  assert.equal(await ann.box.inputValue(), `good morning @${bob.name} `);

  // An emoji by its name, taken by Tab; another by both its colons; a list left as typed by Escape.
  await ann.box.pressSequentially(":tad");
  await ann.page.getByRole("option", { name: "tada" }).waitFor();
  await ann.box.press("Tab");
  await ann.box.pressSequentially(":rocket: **news** :co");
  await ann.page.getByRole("listbox", { name: "Emoji" }).waitFor();
  await ann.box.press("Escape");
  await ann.page.getByRole("listbox", { name: "Emoji" }).waitFor({ state: "hidden" });
  assert.equal(await ann.box.inputValue(), `good morning @${bob.name} 🎉 🚀 **news** :co`);
  await ann.box.press("Shift+Enter");
  await ann.box.pressSequentially("- one");
  await ann.box.press("Shift+Enter");
  await ann.box.pressSequentially("- <b>two</b>");
  await ann.box.press("Enter");

  const message = bob.message("good morning @").filter({ hasNotText: "sending" });
  await message.waitFor();
  await message.getByRole("strong").filter({ hasText: "news" }).waitFor();
  assert.deepEqual(await message.getByRole("listitem").allTextContents(), ["one", "<b>two</b>"], "and nothing typed is ever markup");
  await message.getByText(`@${bob.name}`, { exact: true }).waitFor();

  // A name that is written out in full is sent by the first Enter.
  await bob.say(`good morning to you, @${ann.name}`);
  await ann.message("good morning to you").getByText(`@${ann.name}`, { exact: true }).waitFor();

  // The picker, by the keyboard alone.
  await ann.page.getByRole("button", { name: "Insert emoji" }).click();
  const picker = ann.page.getByRole("dialog", { name: "Emoji" });
  await picker.getByRole("combobox", { name: "Find an emoji" }).fill("coffee");
  await ann.page.keyboard.press("Enter");
  await picker.waitFor({ state: "hidden" });
  assert.equal(await ann.box.inputValue(), "☕");
  await ann.box.press("Enter");
  await bob.sees("☕");

  // The last one again.
  await ann.say("a typo hree");
  await ann.sees("a typo hree");
  await ann.box.press("ArrowUp");
  await ann.page.getByRole("textbox", { name: "New wording" }).fill("a typo here");
  await ann.page.keyboard.press("Enter");
  await bob.message("a typo here").filter({ hasText: "edited" }).waitFor();

  // Near the limit a counter says what is left, and past it why nothing is sent.
  await ann.box.fill("x".repeat(8100));
  await ann.page.getByText("92 bytes left").waitFor();
  await ann.box.fill("x".repeat(8193));
  await ann.page.getByRole("alert").filter({ hasText: "Too long by 1 byte" }).waitFor();

  // A draft belongs to its room, and survives a reload.
  await ann.box.fill("not yet said");
  const other = fresh("other");
  await ann.createRoom(other);
  assert.equal(await ann.box.inputValue(), "");
  await ann.page.keyboard.press("Control+k");
  const switcher = ann.page.getByRole("dialog", { name: "Go to" });
  await switcher.getByRole("combobox", { name: "Room or person" }).fill(room.replaceAll("-", "").slice(0, 9));
  await switcher.getByRole("option", { name: room, selected: true }).waitFor();
  await ann.page.keyboard.press("Enter");
  await ann.page.getByRole("heading", { name: room }).waitFor();
  assert.equal(await ann.box.inputValue(), "not yet said");
  await ann.page.reload();
  await ann.box.waitFor();
  assert.equal(await ann.box.inputValue(), "not yet said");

  // The same way to a person, who is online for as long as a page of theirs is open.
  await ann.page.keyboard.press("Meta+k");
  await switcher.getByRole("combobox", { name: "Room or person" }).fill(bob.name.slice(0, -1));
  await switcher.getByRole("option", { name: bob.name, selected: true }).waitFor();
  await ann.page.keyboard.press("Enter");
  await ann.isIn(bob.name);
  const entry = ann.rooms.getByRole("link", { name: bob.name });
  const seen = async () => ({ told: await entry.getAttribute("aria-description"), looks: await entry.locator(".dot").getAttribute("class") });
  await until("bob is online", async () => (await seen()).told === "online");
  assert.equal((await seen()).looks, "dot online");
  await bob.page.context().close();
  await until("bob has gone", async () => (await seen()).told === "offline");
  assert.equal((await seen()).looks, "dot");
  assert.deepEqual([...ann.faults, ...bob.faults], []);
});

test("the cluster shows its nodes and its actors at work", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  await ann.page.getByRole("button", { name: "Settings" }).click();
  const settings = ann.page.getByRole("dialog", { name: "Settings" });
  await settings.getByRole("tab", { name: "Cluster" }).click();
  const nodes = settings.getByRole("table", { name: "Nodes" });
  for (let number = 1; number <= urls.length; number++) await nodes.getByRole("row", { name: new RegExp(`node${number}.*(leader|follower)`) }).waitFor();
  const actors = settings.getByRole("table", { name: "Actors" });
  await actors.getByRole("row", { name: /^raft node/ }).waitFor();
  // Another node's figures, though the page is not its own.
  await settings.getByRole("combobox", { name: "of" }).selectOption({ label: `node${urls.length}` });
  await actors.getByRole("row", { name: /^raft node .* µs/ }).waitFor();
  await ann.page.keyboard.press("Escape");
  await settings.waitFor({ state: "hidden" });
  assert.equal(await ann.page.getByRole("button", { name: "Settings" }).evaluate((button) => button === document.activeElement), true, "the focus is back");
  assert.deepEqual(ann.faults, []);
});
