/** Reading in a long room: where one left off, both ways, by a link, and by what is answered. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fresh, openBrowser, PASSWORD, Person, until, urls } from "./people.mjs";

const LINES = 150;

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

/** Whether an article is wholly in view. @param {import("playwright-core").Locator} article */
const inView = (article) =>
  article.evaluate((element) => {
    const [box, log] = [element.getBoundingClientRect(), element.closest("[role=log]").getBoundingClientRect()];
    return box.top >= log.top && box.bottom <= log.bottom;
  });

test("a long room is read from the first unread message on, by links and by quotes", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  const bob = await Person.arrive(browser, urls[1], fresh("bob"));
  const room = fresh("long");
  await ann.createRoom(room);
  await ann.say("before bob came");
  await until("bob's page lists the room", async () => (await bob.rooms.getByText(room).count()) > 0);
  await bob.open(room);
  await bob.sees("before bob came");
  await bob.createRoom(fresh("elsewhere"));

  const number = Number(/room\/(\d+)/.exec(ann.page.url())?.[1]);
  for (let line = 1; line <= LINES; line++) await ann.ask("send", { room: number, text: `line ${line}.` });
  // Its seq is one more: something was said before.
  await ann.ask("send", { room: number, text: "the answer", reply_to: 4 });
  await bob.rooms.getByRole("link", { name: `${room} ${LINES + 1} unread` }).waitFor();
  await bob.page.reload();

  // He comes to the line "New", and stands there.
  await bob.open(room);
  const line = (/** @type {number} */ at, person = bob) => person.log.getByRole("article").filter({ hasText: `line ${at}.` }).first();
  await bob.log.getByText("New", { exact: true }).waitFor();
  await until("the first unread message is in view", () => inView(line(1)));
  assert.equal(await line(LINES).count(), 0, "the end is not loaded yet");
  await ann.ask("send", { room: number, text: "one more" });
  const pill = bob.page.getByRole("button", { name: "1 new message" });
  await pill.waitFor();
  assert.equal(await inView(line(1)), true, "what came has moved nothing");

  // To the end, and so through all of it.
  await pill.click();
  await bob.sees("one more");
  await until("all is read", async () => (await bob.rooms.getByRole("link", { name: room, exact: true }).count()) === 1);
  await bob.message("the answer").getByRole("button", { name: `In reply to ${ann.name}: line 3.` }).click();
  await until("what was answered has the focus", async () => ((await bob.page.locator("article:focus").textContent()) ?? "").includes("line 3."));
  await until("and is in view", () => inView(line(3)));

  // On by the wheel, to the end: newer ones come as they are needed.
  await bob.log.hover();
  await until("the end is reached by scrolling", async () => {
    await bob.page.mouse.wheel(0, 1500);
    return (await bob.message("one more").count()) > 0 && inView(bob.message("one more"));
  });

  // The link to a message works at another node, and after a reload.
  const again = await Person.logIn(browser, urls[2], bob.name, PASSWORD);
  await again.page.goto(`${urls[2]}/#/room/${number}/11`);
  await until("the link leads to its message", async () => ((await again.page.locator("article:focus").textContent()) ?? "").includes("line 10."));
  await again.page.reload();
  await until("also after a reload", async () => ((await again.page.locator("article:focus").textContent()) ?? "").includes("line 10."));
  assert.deepEqual([...ann.faults, ...bob.faults, ...again.faults], []);
});

test("an edited message shows what it said before", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  await ann.createRoom(fresh("edits"));
  await ann.say("a first wording");
  await ann.sees("a first wording");
  await ann.act("a first wording", "Edit");
  await ann.page.getByRole("textbox", { name: "New wording" }).fill("a second wording");
  await ann.page.keyboard.press("Enter");
  await ann.message("a second wording").getByRole("button", { name: "edited" }).click();
  const dialog = ann.page.getByRole("dialog", { name: "Wordings of this message" });
  await dialog.getByText("a second wording").waitFor();
  await dialog.getByText("a first wording").waitFor();
  await ann.page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.deepEqual(ann.faults, []);
});
