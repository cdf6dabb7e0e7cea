/** What is written while no majority is there waits, survives a reload, and is sent once. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { back, fresh, kill, nameOf, openBrowser, Person, until, urls } from "./people.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

test("what was written without a majority is sent once, also after a reload", async () => {
  const last = urls.length - 1;
  const ann = await Person.arrive(browser, urls[last], fresh("ann"));
  const room = fresh("waiting");
  await ann.createRoom(room);
  await ann.say("before");
  await ann.sees("before");

  // All but just under half of the others go: what is left can be read, not written.
  const gone = urls.slice(0, Math.ceil(urls.length / 2)).map(nameOf);
  for (const node of gone) await kill(node);
  await ann.status.filter({ hasText: "No majority: reading only; 0 messages waiting" }).waitFor();

  await ann.say("first of two");
  await ann.say("second of two");
  await ann.message("first of two").filter({ hasText: "sending" }).waitFor();
  await ann.status.filter({ hasText: "No majority: reading only; 2 messages waiting" }).waitFor();
  await ann.box.fill("and a draft that nobody has sent");

  await ann.page.reload();
  await ann.message("first of two").filter({ hasText: "sending" }).waitFor();
  await ann.message("second of two").filter({ hasText: "sending" }).waitFor();
  await ann.sees("before");
  assert.equal(await ann.box.inputValue(), "and a draft that nobody has sent");

  await back(...gone);
  await ann.sees("first of two");
  await ann.sees("second of two");
  await ann.status.filter({ hasText: "Connected to" }).waitFor();

  // Someone else, on another node, sees each once, in the order of writing.
  const bob = await Person.arrive(browser, urls[0], fresh("bob"));
  await until("bob's page lists the room", async () => (await bob.rooms.getByText(room).count()) > 0);
  await bob.open(room);
  await bob.sees("second of two");
  const texts = await bob.log.getByRole("article").allTextContents();
  const order = texts.map((text) => ["before", "first of two", "second of two"].findIndex((said) => text.includes(said)));
  assert.deepEqual(order.filter((index) => index >= 0), [0, 1, 2]);
  assert.deepEqual([...ann.faults, ...bob.faults], []);
});
