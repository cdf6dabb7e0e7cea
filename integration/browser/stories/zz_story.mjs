/** Nothing typed is lost, and nothing overtakes: not by a log-out, not further up in a room, not by another tab or another edit. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fresh, openBrowser, PASSWORD, Person, urls } from "./zz_people.mjs";

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
