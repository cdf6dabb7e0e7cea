/** Two people on two nodes talk; the node of one is killed in mid-sentence, and she hardly notices. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { back, fresh, kill, nameOf, openBrowser, Person, until, urls } from "./people.mjs";

const FAILOVER_MS = 2000;

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

test("two people talk, and one loses her node in mid-sentence", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  const bob = await Person.arrive(browser, urls[1], fresh("bob"));
  await ann.status.filter({ hasText: `Connected to ${nameOf(urls[0])}` }).waitFor();

  const room = fresh("general");
  await ann.createRoom(room);
  await until("bob's page lists the room", async () => (await bob.rooms.getByText(room).count()) > 0);
  await bob.open(room);

  await ann.say("good morning");
  await bob.sees("good morning");
  await bob.say("morning, how was it");
  await ann.sees("morning, how was it");
  const article = bob.message("good morning");
  assert.match((await article.textContent()) ?? "", new RegExp(ann.name), "a message names its author");
  const time = article.getByRole("time");
  assert.equal(await time.count(), 1, "and its time");
  assert.match((await time.getAttribute("title")) ?? "", new RegExp(`^\\w+day, .* ${new Date().getFullYear()} at `), "all of it when one points at it");
  await bob.log.getByText(/^(Today|Yesterday)$/).first().waitFor();

  // Edit.
  await ann.act("good morning", "Edit");
  await ann.page.getByRole("textbox", { name: "New wording" }).fill("good evening");
  await ann.page.keyboard.press("Enter");
  await bob.sees("good evening");
  await bob.message("good evening").filter({ hasText: "edited" }).waitFor();
  assert.equal(await bob.message("good morning").count(), 0);

  // React.
  await bob.act("good evening", "React");
  await bob.page.getByRole("menuitem", { name: "👍" }).click();
  await ann.message("good evening").getByRole("button", { name: "👍 1" }).waitFor();

  // Reply.
  await ann.act("morning, how was it", "Reply");
  await ann.say("very good");
  await bob.message("very good").getByRole("button", { name: /In reply to .*how was it/ }).waitFor();

  // Delete.
  await bob.act("how was it", "More");
  await bob.page.getByRole("menuitem", { name: "Delete" }).click();
  await bob.page.getByRole("dialog").getByRole("button", { name: "Delete message" }).click();
  // An answer quotes it, and says the same.
  const place = ann.message("deleted").filter({ hasNotText: "In reply" });
  await place.waitFor();
  assert.match((await place.textContent()) ?? "", new RegExp(`${bob.name}.*deleted`), "whose it was is still said");
  await until("the text is gone", async () => (await ann.log.getByText("how was it").count()) === 0);

  // Typing.
  // A word about it may be lost, and it is shown for a few seconds.
  await until("ann sees that bob is typing", async () => {
    await bob.box.pressSequentially("I am just about to");
    return ann.page.getByText(`${bob.name} is typing…`).isVisible();
  });

  // In the middle of ann's sentence her node dies.
  await ann.isKept();
  await ann.box.pressSequentially("this sentence goes ");
  await kill(nameOf(urls[0]));
  const killed = Date.now();
  await ann.box.pressSequentially("on and on");
  await ann.box.press("Enter");
  await ann.message("this sentence goes on and on").waitFor();
  await until(
    "ann's page is on another node",
    async () => {
      const text = (await ann.status.textContent()) ?? "";
      return /^Connected to /.test(text) && text !== `Connected to ${nameOf(urls[0])}`;
    },
    FAILOVER_MS,
  );
  assert.ok(Date.now() - killed <= FAILOVER_MS, `on another node after ${Date.now() - killed} ms`);
  await ann.sees("this sentence goes on and on");
  await bob.sees("this sentence goes on and on");
  await bob.say("still here");
  await ann.sees("still here");
  assert.equal(await bob.message("this sentence goes on and on").count(), 1, "once for him");
  assert.equal(await ann.message("this sentence goes on and on").count(), 1, "once for her");
  assert.equal(ann.page.url().startsWith(urls[0]), true, "the page has not navigated");

  // The page opens though the node it came from is still down.
  await ann.page.reload();
  await ann.sees("still here");
  assert.equal(await ann.message("this sentence goes on and on").count(), 1, "and once after a reload");

  await back(nameOf(urls[0]));
  assert.deepEqual([...ann.faults, ...bob.faults], []);
});
