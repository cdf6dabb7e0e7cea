/**
 * What the page weighs and how soon it is there, for docs/performance.md:
 * `CHAT_URLS=http://127.0.0.1:8101,… node --experimental-websocket weight.mjs`, with three nodes or more that have `limits.messages_per_second = 0`. Prints one JSON object.
 *
 * `WEIGHT_MESSAGES` (100,000) messages are written into a public room; somebody else scrolls through all of them, from the end
 * to the beginning. `WEIGHT_FIRST_USES` (5) browsers that know nothing of the page open it and log in.
 */

import { fresh, openBrowser, PASSWORD, Person, until, urls } from "./stories/people.mjs";

const MESSAGES = Number(process.env.WEIGHT_MESSAGES ?? 100_000);
const FIRST_USES = Number(process.env.WEIGHT_FIRST_USES ?? 5);
/** So many sends are under way at a time. */
const WINDOW = 256;
const WHEEL_PX = 3000;
const SCROLLED_MAX_MS = 30 * 60_000;
/** Between two looks at the heap. */
const LOOK_EVERY = 50;
const MB = 1024 * 1024;

/**
 * Writes all messages over a WebSocket of the writer's own.
 * @param {string} token
 * @param {number} room
 */
function fill(token, room) {
  const socket = new WebSocket(`${urls[0].replace(/^http/, "ws")}/ws`);
  let [sent, done] = [0, 0];
  const send = () => {
    sent += 1;
    const text = `message ${sent}: what was said here is about as long as what people say in a chat, and **some** of it stands out`;
    socket.send(JSON.stringify({ id: `weight-${sent}`, op: "send", room, text }));
  };
  return new Promise((resolve, reject) => {
    socket.onopen = () => socket.send(JSON.stringify({ id: "hello", op: "hello", token }));
    socket.onclose = ({ code }) => reject(new Error(`the connection ended with ${code} after ${done} messages`));
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      if (frame.re === undefined) return;
      if (!frame.ok) return reject(new Error(`${frame.re}: ${JSON.stringify(frame.error)}`));
      if (frame.re === "hello") return Array.from({ length: Math.min(WINDOW, MESSAGES) }, send);
      done += 1;
      if (done === MESSAGES) resolve(undefined);
      else if (sent < MESSAGES) send();
    };
  });
}

/**
 * Scrolls from the end of the open room to its beginning.
 * @param {Person} person
 */
async function scrollThrough(person) {
  const cdp = await person.page.context().newCDPSession(person.page);
  await cdp.send("HeapProfiler.enable");
  const used = async () => (await cdp.send("Runtime.getHeapUsage")).usedSize / MB;
  const live = async () => {
    await cdp.send("HeapProfiler.collectGarbage");
    return used();
  };
  const articles = () => person.log.getByRole("article").count();
  const before = await live();
  await person.log.hover();
  let [peak, most] = [before, await articles()];
  const end = Date.now() + SCROLLED_MAX_MS;
  const began = performance.now();
  for (let turn = 0; ; turn++) {
    await person.page.mouse.wheel(0, -WHEEL_PX);
    if (turn % LOOK_EVERY !== 0) continue;
    peak = Math.max(peak, await used());
    most = Math.max(most, await articles());
    if ((await person.message("message 1:").count()) > 0) break;
    if (Date.now() > end) throw new Error("the beginning was not reached");
  }
  const seconds = (performance.now() - began) / 1000;
  return { heap_before_mb: before, heap_peak_mb: peak, heap_after_mb: await live(), articles_most: most, scrolled_s: seconds };
}

/**
 * Opens the page for the first time, logs in, and opens a room.
 * @param {import("playwright-core").Browser} browser
 * @param {string} name
 * @param {string} room
 */
async function firstUse(browser, name, room) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const began = performance.now();
  await page.goto(urls[1], { waitUntil: "commit" });
  await page.getByRole("textbox", { name: "Name" }).waitFor();
  await page.getByRole("button", { name: "Log in" }).waitFor();
  const form = performance.now() - began;
  await page.getByRole("textbox", { name: "Name" }).fill(name);
  await page.getByLabel("Password").fill(PASSWORD);
  const pressed = performance.now();
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("navigation", { name: "Rooms" }).getByRole("link", { name: room }).click();
  await page.getByRole("log").getByRole("article").first().waitFor();
  const conversation = performance.now() - pressed;
  await context.close();
  return { form, conversation };
}

/** @param {number[]} figures */
const median = (figures) => figures.sort((a, b) => a - b)[Math.floor(figures.length / 2)];

const browser = await openBrowser();
try {
  const writer = await Person.arrive(browser, urls[0], fresh("writer"));
  const reader = await Person.arrive(browser, urls[1], fresh("reader"));
  const [small, large] = [fresh("small"), fresh("large")];
  const newcomer = await Person.arrive(browser, urls[1], fresh("newcomer"));
  await newcomer.createRoom(small);
  await newcomer.say("a word of welcome");
  await newcomer.sees("a word of welcome");
  const uses = [];
  for (let at = 0; at < FIRST_USES; at++) uses.push(await firstUse(browser, newcomer.name, small));

  await writer.createRoom(large);
  const room = Number(/room\/(\d+)/.exec(writer.page.url())?.[1]);
  const token = await writer.page.evaluate(() => JSON.parse(localStorage.getItem("session") ?? "{}").token);
  // Only the other page is to be weighed.
  await writer.page.close();
  await fill(token, room);
  await until("the reader's page lists the room", async () => (await reader.rooms.getByText(large).count()) > 0);
  await reader.open(large);
  await reader.sees(`message ${MESSAGES}:`);
  const scrolled = await scrollThrough(reader);
  console.log(JSON.stringify({
    messages: MESSAGES,
    ...scrolled,
    form_ms: median(uses.map(({ form }) => form)),
    conversation_ms: median(uses.map(({ conversation }) => conversation)),
    browser: browser.version(),
  }));
} finally {
  await browser.close();
}
process.exit(0);
