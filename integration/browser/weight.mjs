/**
 * What the page weighs and how soon it is there, for docs/performance.md:
 * `WEIGHT_MESSAGES=100000 cargo test --release --test integration weight -- --nocapture`. Prints one JSON object.
 *
 * `WEIGHT_MESSAGES` messages (without it a few, to see that all is well) are written into a public room. Somebody else opens it and scrolls through the newest
 * 100,000, back in time; and asks for parts of it and words in it over HTTP, `WEIGHT_ASKED` times each (200).
 * `WEIGHT_FIRST_USES` browsers (5) that know nothing of the page open it and log in.
 */

import { fresh, openBrowser, PASSWORD, Person, until, urls } from "./stories/people.mjs";

const MEASURES = process.env.WEIGHT_MESSAGES !== undefined;
const MESSAGES = Number(process.env.WEIGHT_MESSAGES ?? 3000);
/** So many of them are scrolled through. */
const SCROLLED = Math.min(MESSAGES, 100_000);
const ASKED = Number(process.env.WEIGHT_ASKED ?? (MEASURES ? 200 : 10));
/** One message in so many has the rare word. */
const RARE_EVERY = 1000;
const FIRST_USES = Number(process.env.WEIGHT_FIRST_USES ?? (MEASURES ? 5 : 1));
/** So many sends are under way at a time. */
const WINDOW = 256;
const WHEEL_PX = 3000;
const SCROLLED_MAX_MS = 5 * 60_000;
/** Two minutes for each 100,000. */
const FILLED_MAX_MS = Math.ceil(MESSAGES / 100_000) * 2 * 60_000;
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
    const end = sent % RARE_EVERY === 0 ? "is a kingfisher" : "stands out";
    const text = `message ${sent}: what was said here is about as long as what people say in a chat, and **some** of it ${end}`;
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

/** @param {number[]} figures @param {number} share */
const quantile = (figures, share) => figures.toSorted((a, b) => a - b)[Math.min(figures.length - 1, Math.floor(figures.length * share))];
/** @param {number[]} figures */
const median = (figures) => quantile(figures, 0.5);

/**
 * Scrolls back in time from the end of the open room.
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
  await person.page.evaluate(() => {
    const frames = /** @type {number[]} */ ([]);
    let last = performance.now();
    const next = (/** @type {number} */ now) => {
      frames.push(now - last);
      last = now;
      requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
    Object.assign(window, { frames });
  });
  let [peak, most] = [before, await articles()];
  const end = Date.now() + SCROLLED_MAX_MS;
  const began = performance.now();
  for (let turn = 0; ; turn++) {
    await person.page.mouse.wheel(0, -WHEEL_PX);
    if (turn % LOOK_EVERY !== 0) continue;
    peak = Math.max(peak, await used());
    most = Math.max(most, await articles());
    // What is on the screen may be any of some hundred.
    const numbers = await person.log.getByRole("article").evaluateAll((all) => all.map((article) => Number(/message (\d+):/.exec(article.textContent ?? "")?.[1] ?? Infinity)));
    if (Math.min(...numbers) <= MESSAGES - SCROLLED + 1) break;
    if (Date.now() > end) throw new Error("the beginning was not reached");
  }
  const seconds = (performance.now() - began) / 1000;
  const frames = await person.page.evaluate(() => /** @type {{ frames: number[] }} */ (/** @type {unknown} */ (window)).frames);
  return {
    heap_before_mb: before, heap_peak_mb: peak, heap_after_mb: await live(), articles_most: most, scrolled_s: seconds,
    frame_p50_ms: median(frames), frame_p99_ms: quantile(frames, 0.99), frame_longest_ms: quantile(frames, 1),
  };
}

/**
 * Asks over HTTP, one question after the other; how long the answers took.
 * @param {Person} person
 * @param {string} op
 * @param {(turn: number) => Record<string, unknown>} fields
 */
async function asked(person, op, fields) {
  const took = [];
  for (let turn = 0; turn < ASKED; turn++) {
    const began = performance.now();
    await person.ask(op, fields(turn));
    took.push(performance.now() - began);
  }
  return { p50_ms: median(took), p99_ms: quantile(took, 0.99) };
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
  const pressed = performance.now();
  await reader.open(large);
  await reader.sees(`message ${MESSAGES}:`);
  const opened = performance.now() - pressed;
  const page = (/** @type {number} */ before) => asked(reader, "history", (turn) => ({ room, before: before + turn, limit: 50 }));
  const history = { start: await page(51), middle: await page(MESSAGES / 2), end: await page(MESSAGES - ASKED) };
  const find = (/** @type {string} */ words) => asked(reader, "search", () => ({ text: words, limit: 20 }));
  await until("all is in the index", async () => (await reader.ask("search", { text: `"message ${MESSAGES}"`, limit: 1 })).messages.length > 0, FILLED_MAX_MS);
  const search = { rare: await find("kingfisher"), common: await find("people"), one: await find(`"message ${MESSAGES / 2}"`) };
  const scrolled = await scrollThrough(reader);
  console.log(JSON.stringify({
    messages: MESSAGES,
    open_ms: opened,
    history,
    search,
    ...scrolled,
    form_ms: median(uses.map(({ form }) => form)),
    conversation_ms: median(uses.map(({ conversation }) => conversation)),
    browser: browser.version(),
  }));
} finally {
  await browser.close();
}
process.exit(0);
