/** Nothing typed is lost, and nothing overtakes: not by a log-out, not further up in a room, not by another tab or another edit. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fresh, openBrowser, PASSWORD, Person, urls } from "./people.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

/**
 * What a room holds, as a program sees it.
 * @param {Person} person
 * @param {number} room
 */
const texts = async (person, room) => (await person.ask("history", { room, limit: 200 })).messages.map((/** @type {any} */ message) => message.text);
const roomOf = (/** @type {Person} */ person) => Number(/room\/(\d+)/.exec(person.page.url())?.[1]);

test("what waited when the session ended is sent after logging in again, before what is written then", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  await ann.createRoom(fresh("kept"));
  const room = roomOf(ann);
  const elsewhere = await Person.logIn(browser, urls[1], ann.name, PASSWORD);
  await ann.page.context().setOffline(true);
  await ann.status.filter({ hasText: "Reconnecting…" }).waitFor();
  await ann.say("waiting");
  await ann.message("waiting").filter({ hasText: "sending" }).waitFor();
  for (const session of (await elsewhere.ask("list_sessions", {})).sessions) if (!session.current) await elsewhere.ask("end_session", { session: session.session });
  await ann.page.context().setOffline(false);
  await ann.page.getByRole("textbox", { name: "Name" }).fill(ann.name);
  await ann.page.getByLabel("Password").fill(PASSWORD);
  await ann.page.getByRole("button", { name: "Log in" }).click();
  await ann.rooms.waitFor();
  await ann.page.goto(`${urls[0]}/#/room/${room}`);
  await ann.say("later");
  await ann.sees("later");
  await ann.sees("waiting");
  assert.deepEqual(await texts(elsewhere, room), ["waiting", "later"]);
  assert.deepEqual([...ann.faults, ...elsewhere.faults], []);
});

test("what is sent further up without a connection is shown, and stands at the end once it is back", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  await ann.createRoom(fresh("long"));
  const room = roomOf(ann);
  for (let at = 1; at <= 200; at++) await ann.ask("send", { room, text: `line ${at}.` });
  await ann.page.goto(`${urls[0]}/#/room/${room}/30`);
  await ann.page.reload();
  await ann.message("line 30.").waitFor();
  await ann.page.context().setOffline(true);
  await ann.status.filter({ hasText: "Reconnecting…" }).waitFor();
  await ann.say("sent from far above");
  await ann.message("sent from far above").filter({ hasText: "sending" }).waitFor();
  assert.equal(await ann.message("line 200.").count(), 0);
  await ann.page.context().setOffline(false);
  await ann.sees("sent from far above");
  await ann.message("line 200.").waitFor();
  const shown = await ann.log.getByRole("article").allTextContents();
  assert.match(shown.at(-1) ?? "", /sent from far above/);
  assert.deepEqual(ann.faults, []);
});

test("two tabs, two edits and a removal lose nothing, and a link leads to its place on one's own node", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  const bob = await Person.arrive(browser, urls[1], fresh("bob"));
  await ann.createRoom(fresh("drafts"), "private");
  const room = roomOf(ann);
  await ann.ask("invite", { room, user: bob.name });
  await ann.say("a first message");
  await ann.say("a second message");
  await ann.sees("a second message");

  // What one tab sends takes away no other tab's draft.
  const tab = new Person(await ann.page.context().newPage(), ann.name);
  await tab.page.goto(`${urls[0]}/#/room/${room}`);
  await tab.box.fill("a long text in the other tab");
  await ann.say(`see ${urls[0]}/#/room/${room}/1`);
  await tab.sees("see http");
  await tab.page.reload();
  await tab.box.waitFor();
  assert.equal(await tab.box.inputValue(), "a long text in the other tab");
  await tab.page.close();

  // To edit another message keeps what was typed in the first.
  const wording = ann.page.getByRole("textbox", { name: "New wording" });
  await ann.act("a first message", "Edit");
  await wording.fill("a better first");
  await ann.act("a second message", "Edit");
  await wording.press("Escape");
  await ann.act("a first message", "Edit");
  assert.equal(await wording.inputValue(), "a better first");

  // Meanwhile another edit was faster: what was typed is made on the wording that is there now.
  await ann.ask("edit", { room, seq: 1, text: "a quicker first" });
  await ann.sees("a quicker first");
  await wording.press("Enter");
  const refused = ann.message("Not changed");
  await refused.filter({ hasText: "a better first" }).waitFor();
  await refused.getByRole("button", { name: "Edit again" }).click();
  assert.equal(await wording.inputValue(), "a better first");
  await wording.press("Enter");
  await ann.sees("a better first");
  await refused.waitFor({ state: "detached" });

  await bob.page.goto(`${urls[1]}/#/room/${room}`);
  await bob.message("see http").getByRole("link").click();
  await bob.page.locator("article:focus").filter({ hasText: "a better first" }).waitFor();
  assert.equal(bob.page.url(), `${urls[1]}/#/room/${room}/1`);
  assert.equal(bob.page.context().pages().length, 1);

  await bob.box.fill("an unsent thought");
  await bob.box.focus();
  await ann.ask("remove", { room, user: bob.name });
  const why = bob.page.getByRole("heading", { name: "This room is not there for you" });
  await why.waitFor();
  assert.ok(await why.evaluate((heading) => heading === document.activeElement), "the focus is where it is said");
  await bob.page.getByText("an unsent thought").waitFor();
  await ann.ask("invite", { room, user: bob.name });
  await bob.box.waitFor();
  assert.equal(await bob.box.inputValue(), "an unsent thought");
  assert.deepEqual([...ann.faults, ...bob.faults, ...tab.faults], []);
});
