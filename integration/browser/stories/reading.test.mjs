/** Reading in a long room: where one left off, both ways, by a link, and by what is answered. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fresh, openBrowser, PASSWORD, Person, until, urls } from "./people.mjs";

const LINES = 150;
/** Of so many lines one is a long one, so that what has not been shown yet is not as high as it is thought to be. */
const LONG_EVERY = 7;
const WHEEL_PX = 300;

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

/**
 * Turns the wheel until there is no further way. With each turn what is being read moves as far as the wheel says, and at no
 * time further or back, whatever is loaded meanwhile.
 * @param {Person} person
 * @param {1 | -1} way down or up
 */
async function wheelThrough(person, way) {
  const step = way * WHEEL_PX;
  await person.log.hover();
  for (let left = await settled(person, way); left >= 2 * WHEEL_PX; left = await settled(person, way)) {
    await person.log.evaluate((log, down) => {
      const view = log.getBoundingClientRect();
      const whole = [...log.querySelectorAll("article")].filter((article) => article.getBoundingClientRect().top >= view.top && article.getBoundingClientRect().bottom <= view.bottom);
      const article = whole.at(down ? -1 : 0) ?? log;
      const from = article.getBoundingClientRect().top;
      const tops = /** @type {number[]} */ ([]);
      Object.assign(globalThis, { watched: { article, tops } });
      // A message comes when the picture that was asked for has been painted.
      const { port1, port2 } = new MessageChannel();
      const look = () => {
        if (/** @type {any} */ (globalThis).watched.tops !== tops) return port1.close();
        port2.postMessage(null);
        requestAnimationFrame(look);
      };
      port1.onmessage = () => tops.push(article.getBoundingClientRect().top - from);
      requestAnimationFrame(look);
    }, way > 0);
    await person.page.mouse.wheel(0, step);
    await until("the wheel has turned", () => person.page.evaluate((far) => Math.abs(/** @type {any} */ (globalThis).watched.tops.at(-1) ?? 0) >= far, WHEEL_PX - 1));
    await settled(person, way);
    const { tops, text } = await person.page.evaluate(() => {
      const { article, tops } = /** @type {any} */ (globalThis).watched;
      return { tops, text: article.textContent };
    });
    const gone = tops.map((/** @type {number} */ top) => top * -way);
    assert.ok(gone.every((/** @type {number} */ far) => far >= -1 && far <= WHEEL_PX + 1), `${text} went ${gone} for ${WHEEL_PX} px of the wheel`);
    assert.ok(Math.abs(gone.at(-1) - WHEEL_PX) <= 1, `${text} stands at ${gone.at(-1)} after ${WHEEL_PX} px of the wheel`);
  }
  await person.page.mouse.wheel(0, 3 * step);
}

/**
 * Waits until nothing moves and as much is loaded as is wanted ahead.
 * @param {Person} person
 * @param {1 | -1} way down or up
 * @returns {Promise<number>} how far one can scroll on
 */
async function settled(person, way) {
  let [before, left] = ["", 0];
  await until("the conversation stands still", async () => {
    const now = await person.log.evaluate((log, down) => {
      const articles = [...log.querySelectorAll("article")];
      const ahead = down ? log.scrollHeight - log.scrollTop - log.clientHeight : log.scrollTop;
      const end = down ? articles.at(-1) : articles[0];
      return { ahead, end: end?.getAttribute("data-seq"), loaded: ahead > log.clientHeight * 1.5, shape: `${log.scrollTop} ${log.scrollHeight} ${articles.length}` };
    }, way > 0);
    const still = now.shape === before && (now.loaded || now.end === String(way > 0 ? LINES + 3 : 1));
    [before, left] = [now.shape, now.ahead];
    return still;
  });
  return left;
}

test("a long room is read from the first unread message on, by links and by quotes", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  const room = fresh("long");
  await ann.createRoom(room);
  await ann.say("before bob came");
  await ann.sees("before bob came");
  const bob = await Person.arrive(browser, urls[1], fresh("bob"));
  await until("bob's page lists the room", async () => (await bob.rooms.getByText(room).count()) > 0);
  await bob.open(room);
  await bob.sees("before bob came");
  const elsewhere = fresh("elsewhere");
  await bob.createRoom(elsewhere);

  const number = Number(/room\/(\d+)/.exec(ann.page.url())?.[1]);
  for (let line = 1; line <= LINES; line++) await ann.ask("send", { room: number, text: line % LONG_EVERY === 0 ? `line ${line}.\n\n- and\n- so\n- on` : `line ${line}.` });
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

  // By the wheel to the beginning: older ones come as they are needed. The link to a message works at another node, and after a
  // reload, and from there newer ones come, to the end.
  const again = await Person.logIn(browser, urls[2], bob.name, PASSWORD);
  await again.rooms.getByRole("link", { name: room, exact: true }).waitFor();
  await again.open(room);
  await again.sees("one more");
  assert.equal(await line(50, again).count(), 0, "older ones are not loaded yet");
  await wheelThrough(again, -1);
  await until("the first message is in view", () => inView(again.message("before bob came")));
  await again.page.goto(`${urls[2]}/#/room/${number}/11`);
  await until("the link leads to its message", async () => ((await again.page.locator("article:focus").textContent()) ?? "").includes("line 10."));
  await again.page.reload();
  await until("also after a reload", async () => ((await again.page.locator("article:focus").textContent()) ?? "").includes("line 10."));
  assert.equal(await line(LINES, again).count(), 0, "newer ones are not loaded yet");
  await wheelThrough(again, 1);
  await until("the last message is in view", () => inView(again.message("one more")));

  // For who hears the page: of what was there nothing is read out, what comes is, one by one, and a flood is only counted.
  const live = () => again.log.getAttribute("aria-live");
  assert.equal(await live(), "off");
  const now = Date.now();
  await again.page.clock.setFixedTime(now);
  // The page takes the clock that is there when it begins.
  await again.open(elsewhere);
  await again.page.reload();
  await ann.ask("send", { room: number, text: "in between" });
  await again.rooms.getByRole("link", { name: `${room} 1 unread` }).waitFor();
  await again.open(room);
  // Read is only what was loaded.
  await again.rooms.getByRole("link", { name: room, exact: true }).waitFor();
  assert.equal(await live(), "off");
  await ann.ask("send", { room: number, text: "a single one" });
  await again.sees("a single one");
  assert.equal(await live(), "polite");
  await again.page.clock.setFixedTime(now + 1000);
  await again.say("one of his own");
  await again.sees("one of his own");
  assert.equal(await live(), "off");
  await again.page.clock.setFixedTime(now + 10_000);
  for (let one = 1; one <= 20; one++) await ann.ask("send", { room: number, text: `flood ${one}.` });
  await again.page.getByText("20 messages arrived", { exact: true }).waitFor();
  await again.sees("flood 20.");
  assert.equal(await live(), "off");
  await again.page.clock.setFixedTime(now + 20_000);
  await ann.ask("send", { room: number, text: "calm again" });
  await again.sees("calm again");
  assert.equal(await live(), "polite");
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
