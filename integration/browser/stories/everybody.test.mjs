/** The page for everybody: what a checker of the accessibility rules finds in each state, at 320 px and with large text. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { fresh, kill, nameOf, openBrowser, Person, start, until, urls } from "./people.mjs";

const checker = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

/**
 * @param {import("playwright-core").Page} page
 * @param {string} state
 */
async function check(page, state) {
  // A fade on its way has colours of its own.
  await page.evaluate(() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => undefined))));
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(checker);
  const found = await page.evaluate(
    async (rules) => {
      const { violations } = await /** @type {any} */ (globalThis).axe.run(document, { runOnly: rules, resultTypes: ["violations"] });
      return violations.flatMap((/** @type {any} */ one) => one.nodes.map((/** @type {any} */ node) => `${one.id}: ${one.help}: ${node.html.slice(0, 200)}: ${node.failureSummary}`));
    },
    RULES,
  );
  assert.deepEqual(found, [], state);
}

/** Nothing is wider than the page. @param {import("playwright-core").Page} page */
async function fits(page) {
  const [wide, page_] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= page_, `${wide} px wide, in a page of ${page_}`);
}

/**
 * Checks a state in both colours and at each width, and leaves the page light and wide.
 * @param {import("playwright-core").Page} page
 * @param {string} state
 * @param {() => Promise<void>} shown waits for what makes the state
 */
async function everywhere(page, state, shown) {
  for (const colours of /** @type {const} */ (["dark", "light"])) {
    for (const width of [320, 760, 1200]) {
      await page.emulateMedia({ colorScheme: colours });
      await page.setViewportSize({ width, height: 640 });
      await shown();
      await check(page, `${state}: ${colours}, ${width} px`);
      await fits(page);
    }
  }
}

test("no rule of accessibility is broken in any state of the page", async () => {
  const visitor = await Person.visit(browser, urls[0], "");
  await visitor.page.getByRole("button", { name: "Log in" }).waitFor();
  await check(visitor.page, "the first visit");
  await visitor.page.getByRole("button", { name: "Log in" }).click();
  await check(visitor.page, "a name that is missing");

  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  const { page } = ann;
  await page.getByRole("button", { name: "Make your first one" }).waitFor();
  await check(page, "no rooms");
  const room = fresh("busy");
  await ann.createRoom(room);
  await check(page, "an empty room");
  for (const text of ["**bold**, _italic_ and `code`", "> a quote\n\n- one\n- two\n\nhttps://example.org/", "```\nsome code\n```", `to @${ann.name} :tada:`, "שלום עולם", "x".repeat(200)]) {
    await ann.box.fill(text);
    await ann.box.press("Enter");
  }
  await ann.sees("xxxxxx");
  await ann.act("bold", "React");
  await page.getByRole("menu").waitFor();
  await check(page, "a menu");
  await page.getByRole("menuitem", { name: "👍" }).click();
  await ann.act("bold", "Reply");
  await check(page, "an answer being written");
  await ann.say("an answer");
  await ann.sees("an answer");
  await ann.act("a quote", "Edit");
  await check(page, "a message being edited");
  await page.getByRole("textbox", { name: "New wording" }).press("Escape");
  await check(page, "a busy room");

  const dialog = page.getByRole("dialog");
  const opens = [
    ["New room", "New room"],
    ["New direct message", "New direct message"],
    ["Settings", "Settings"],
  ];
  for (const [button, name] of opens) {
    await page.getByRole("button", { name: button, exact: true }).click();
    await page.getByRole("dialog", { name }).waitFor();
    await check(page, name);
    if (button === "Settings") {
      for (const tab of await dialog.getByRole("tab").all()) {
        await tab.click();
        await check(page, `Settings: ${await tab.textContent()}`);
      }
    }
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
  }
  await ann.act("bold", "More");
  await page.getByRole("menuitem", { name: "Delete" }).click();
  await dialog.waitFor();
  await check(page, "a question before harm");
  await page.getByRole("button", { name: "Keep" }).click();
  await page.getByRole("button", { name: "People" }).click();
  await page.getByRole("complementary", { name: "People" }).getByText("1 person").waitFor();
  await check(page, "the panel");
  await page.getByRole("button", { name: "Programs" }).click();
  await dialog.waitFor();
  const size = page.viewportSize() ?? { width: 1280, height: 720 };
  await everywhere(page, "programs of a room", () => dialog.waitFor());
  await page.setViewportSize(size);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+k");
  await dialog.waitFor();
  await check(page, "the switcher");
  await page.keyboard.press("Escape");

  await ann.box.fill("to @");
  await page.getByRole("listbox", { name: "People to mention" }).waitFor();
  await check(page, "a list of people to mention");
  await ann.box.press("Escape");
  await ann.box.fill("");
  await page.getByRole("button", { name: "Insert emoji" }).click();
  await page.getByRole("dialog", { name: "Emoji" }).getByRole("option").first().waitFor();
  await check(page, "the emoji");
  await page.keyboard.press("Escape");
  const search = page.getByRole("searchbox", { name: "Search" });
  await search.fill("bold");
  await search.press("Enter");
  await page.getByRole("complementary", { name: "Search results" }).getByRole("link").first().waitFor();
  await everywhere(page, "what a search found", () => page.getByRole("complementary", { name: "Search results" }).waitFor());
  await page.keyboard.press("Escape");
  await search.fill("");

  await page.getByRole("button", { name: "Settings", exact: true }).click();
  await dialog.getByRole("tab", { name: "Cluster" }).click();
  await dialog.getByRole("table", { name: "Nodes" }).getByRole("row", { name: /leader/ }).waitFor();
  await dialog.getByRole("table", { name: "Actors" }).getByRole("row", { name: /^raft node/ }).waitFor();
  await everywhere(page, "the cluster", () => dialog.waitFor());
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });

  await everywhere(page, "a room", () => ann.box.waitFor());
  await page.setViewportSize({ width: 320, height: 640 });
  await page.getByRole("button", { name: "Rooms" }).click();
  await ann.rooms.getByRole("link", { name: room }).waitFor();
  await check(page, "the navigation over a narrow page");
  await page.keyboard.press("Escape");

  // Text twice as large, by itself and with the whole page.
  for (const [width, size] of /** @type {const} */ ([[640, "93.75%"], [1280, "187.5%"], [320, "187.5%"]])) {
    await page.setViewportSize({ width, height: 640 });
    await page.evaluate((large) => document.documentElement.style.setProperty("font-size", large), size);
    await ann.box.click();
    await fits(page);
    await check(page, `text of ${size} at ${width} px`);
  }
  await page.evaluate(() => document.documentElement.style.removeProperty("font-size"));
  await page.setViewportSize({ width: 1200, height: 800 });

  await page.emulateMedia({ forcedColors: "active", reducedMotion: "reduce" });
  await check(page, "forced colours, reduced motion");
  await page.emulateMedia({ forcedColors: "none", reducedMotion: "no-preference" });

  const gone = urls.slice(1, 1 + Math.ceil(urls.length / 2)).map(nameOf);
  for (const node of gone) await kill(node);
  await ann.say("this one waits");
  await ann.status.filter({ hasText: "No majority: reading only; 1 message waiting" }).waitFor();
  await page.getByText("No majority of the servers answers.").waitFor();
  await everywhere(page, "no majority", () => page.getByText("No majority of the servers answers.").waitFor());
  for (const node of gone) await start(node);
  await ann.sees("this one waits");
  assert.deepEqual(ann.faults, []);
});

test("the keyboard alone leads through a room", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  const { page } = ann;
  await ann.createRoom(fresh("keys"));
  await ann.say("first");
  await ann.say("second");
  await ann.sees("second");
  const focused = () => page.evaluate(() => document.activeElement?.textContent ?? "");
  // From the composer back into the conversation, and on it by the arrows.
  await until("the last message has the focus", async () => {
    await page.keyboard.press("Shift+Tab");
    return page.evaluate(() => document.activeElement?.tagName === "ARTICLE");
  });
  assert.match(await focused(), /second/);
  await page.keyboard.press("ArrowUp");
  assert.match(await focused(), /first/);
  await page.keyboard.press("Enter");
  await page.getByRole("menu").getByRole("menuitem", { name: "Copy link" }).waitFor();
  await page.keyboard.press("Escape");
  assert.match(await focused(), /first/, "the focus is back where it was");
  await page.keyboard.press("r");
  await ann.page.keyboard.type("an answer");
  await page.keyboard.press("Enter");
  await ann.message("an answer").getByRole("button", { name: /In reply to/ }).waitFor();
  assert.deepEqual(ann.faults, []);
});
