/** The page for everybody: what a checker of the accessibility rules finds in each state, at 320 px and with large text. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { settingsWords } from "../../../web-client/settings_words.de.js";
import { words } from "../../../web-client/words.de.js";
import { attach, PNG, WAV } from "./attaching.mjs";
import { check, everywhere, fits, obeys, RULES } from "./checking.mjs";
import { adminName, adminPassword, back, fresh, kill, nameOf, openBrowser, PASSWORD, Person, until, urls } from "./people.mjs";

const PIECE = 1024 * 1024;
/** Who reads German. */
const GERMAN = { locale: "de-DE", words };

/** @type {import("playwright-core").Browser} */
let browser;
/** An admin, who reads German. @type {Person} */
let root;
before(async () => {
  browser = await openBrowser();
  root = await Person.logIn(browser, urls[0], adminName, adminPassword, GERMAN);
});
after(() => browser?.close());

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

  await page.emulateMedia({ forcedColors: "active" });
  await obeys(page, RULES, "forced colours");
  await page.emulateMedia({ forcedColors: "none", contrast: "more" });
  await check(page, "more contrast");
  await obeys(page, ["color-contrast-enhanced"], "more contrast");
  await page.emulateMedia({ contrast: "no-preference" });

  // A menu and a dialog fade in, but not for who wants nothing to move.
  await page.evaluate(() => {
    const moved = /** @type {string[]} */ ([]);
    Object.assign(globalThis, { moved });
    for (const name of ["animationstart", "transitionrun"]) document.addEventListener(name, ({ target }) => moved.push(`${name}: ${/** @type {Element} */ (target).className}`), true);
  });
  // What begins to move is told with the next picture.
  const painted = () => page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(undefined)))));
  const moved = async () => {
    await ann.act("bold", "React");
    await page.getByRole("menu").waitFor();
    await painted();
    await page.keyboard.press("Escape");
    await page.keyboard.press("Control+k");
    await dialog.waitFor();
    await painted();
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    await painted();
    return page.evaluate(() => /** @type {string[]} */ (/** @type {any} */ (globalThis).moved.splice(0)));
  };
  await page.emulateMedia({ reducedMotion: "no-preference" });
  const moving = await moved();
  for (const part of ["animationstart: menu", "animationstart: dialog"]) assert.ok(moving.some((one) => one.startsWith(part)), `${part} is among ${moving}`);
  await page.emulateMedia({ reducedMotion: "reduce" });
  assert.deepEqual(await moved(), []);

  const gone = urls.slice(1, 1 + Math.ceil(urls.length / 2)).map(nameOf);
  for (const node of gone) await kill(node);
  await ann.say("this one waits");
  await ann.status.filter({ hasText: "No majority: reading only; 1 message waiting" }).waitFor();
  await page.getByText("No majority of the servers answers.").waitFor();
  await everywhere(page, "no majority", () => page.getByText("No majority of the servers answers.").waitFor());
  await back(...gone);
  await ann.sees("this one waits");
  assert.deepEqual(ann.faults, []);
});

test("nor by anything that a message can be", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  const { page } = ann;
  const room = fresh("messages");
  await ann.createRoom(room);
  const number = Number(/room\/(\d+)/.exec(page.url())?.[1]);

  // Files: chosen, on their way, and there.
  let go = () => {};
  const held = new Promise((resolve) => (go = () => resolve(undefined)));
  await page.route("**/api/v1/uploads/**", async (route) => {
    if (route.request().headers()["upload-offset"] !== "0") await held;
    await route.continue();
  });
  await attach(ann, [
    { name: "large.bin", mimeType: "application/octet-stream", buffer: Buffer.alloc(2.5 * PIECE) },
    { name: "picture.png", mimeType: "image/png", buffer: PNG },
    { name: "silence.wav", mimeType: "audio/wav", buffer: WAV },
  ]);
  const chips = page.getByRole("list", { name: "Attached files" });
  await chips.getByText("40% uploaded").waitFor();
  await everywhere(page, "files on their way", () => chips.waitFor(), [320, 1200]);
  await ann.say("three files");
  const files = ann.message("three files");
  await files.getByText("40% uploaded").waitFor();
  await check(page, "a message that waits for its files");
  go();
  await ann.sees("three files");
  await files.getByRole("button", { name: "Open picture.png" }).locator("img").waitFor();
  await files.getByRole("button", { name: "Play silence.wav" }).click();
  await files.locator("audio").waitFor();
  await everywhere(page, "files of a message", () => files.waitFor(), [320, 1200]);

  // Edited, deleted, and refused: a change, since another one was faster, and an answer to what is not there.
  for (const text of ["the second", "the third", "the fourth"]) await ann.say(text);
  await ann.sees("the fourth");
  await ann.ask("edit", { room: number, seq: 2, text: "the second, edited" });
  await ann.ask("delete", { room: number, seqs: [3] });
  await ann.act("the fourth", "Edit");
  await page.getByRole("textbox", { name: "New wording" }).fill("slow");
  await ann.ask("edit", { room: number, seq: 4, text: "quick" });
  await ann.sees("quick");
  await page.keyboard.press("Enter");
  await ann.message("Not changed").waitFor();
  const draft = JSON.stringify({ text: "an answer to nothing", reply: { seq: 999, name: "nobody", text: "" }, files: [] });
  await page.evaluate(([key, kept]) => localStorage.setItem(key, kept), [`draft:${ann.name}:${number}`, draft]);
  await page.reload();
  await ann.box.press("Enter");
  await ann.message("Not sent").waitFor();
  await ann.log.getByRole("article").getByText("deleted", { exact: true }).waitFor();
  await everywhere(page, "edited, deleted and refused messages", () => ann.message("Not sent").waitFor());
  await ann.message("the second, edited").getByRole("button", { name: "edited" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("2 wordings").waitFor();
  await check(page, "the wordings of a message");
  await page.keyboard.press("Escape");
  await ann.box.pressSequentially(":tad");
  await page.getByRole("listbox", { name: "Emoji" }).waitFor();
  await check(page, "a list of emoji by name");
  await ann.box.fill("");
  await page.getByRole("button", { name: "People" }).click();
  await page.getByRole("button", { name: "Change name and topic" }).click();
  await dialog.waitFor();
  await check(page, "a room's name and topic");
  await page.keyboard.press("Escape");
  await page.getByRole("complementary", { name: "People" }).getByRole("button", { name: "Close" }).click();

  // Unread ones, here and there; where the new ones begin, and how many stand below.
  const { room: direct } = await root.ask("open_direct", { users: [ann.name] });
  await root.ask("send", { room: direct.room, text: "only between us" });
  await ann.rooms.getByRole("link", { name: `${root.name} 1 unread` }).waitFor();
  await check(page, "a direct message that is unread");
  await ann.open(root.name);
  await ann.sees("only between us");
  await check(page, "a direct conversation");
  await root.ask("join", { room: number });
  for (let line = 1; line <= 30; line++) await root.ask("send", { room: number, text: `to @${ann.name}, line ${line}.` });
  await ann.rooms.getByRole("link", { name: `${room} 2 not sent 30 mentions 30 unread` }).waitFor();
  await check(page, "counts beside a room");
  await ann.open(room);
  await ann.log.getByText("New", { exact: true }).waitFor();
  await root.ask("send", { room: number, text: "one more" });
  const pill = page.getByRole("button", { name: "1 new message" });
  await pill.waitFor();
  await everywhere(page, "new messages", () => pill.waitFor());
  assert.deepEqual(ann.faults, []);
});

test("nor where one has yet to be let in, or is no more, or no server answers", async () => {
  const { room: open } = await root.ask("create_room", { name: fresh("open"), kind: "public" });
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  const { page } = ann;
  await page.goto(`${urls[0]}/#/room/${open.room}`);
  const join = page.getByRole("button", { name: "Join this room" });
  await everywhere(page, "a room that one may join", () => join.waitFor(), [320, 1200]);

  const { room: closed } = await root.ask("create_room", { name: fresh("closed"), kind: "private" });
  await root.ask("invite", { room: closed.room, user: ann.name });
  await page.goto(`${urls[0]}/#/room/${closed.room}`);
  await ann.isIn(closed.name);
  await page.context().setOffline(true);
  await ann.status.filter({ hasText: "Reconnecting…" }).waitFor();
  await ann.say("too late");
  await ann.message("too late").filter({ hasText: "sending" }).waitFor();
  const notice = page.getByText("No server answers at the moment.");
  await everywhere(page, "no server", () => notice.waitFor(), [320, 1200]);
  await root.ask("remove", { room: closed.room, user: ann.name });
  await page.context().setOffline(false);
  const gone = page.getByRole("heading", { name: "This room is not there for you" });
  await everywhere(page, "a room that is gone", () => gone.waitFor(), [320, 1200]);
  await ann.rooms.getByRole("button", { name: "1 not sent" }).click();
  const dialog = page.getByRole("dialog", { name: "Not sent" });
  await dialog.getByText("too late").waitFor();
  await check(page, "what was written for a room that is gone");

  const { link: invitation } = await root.ask("create_invite", { uses: 1, hours: 1 });
  const guest = await Person.visit(browser, invitation, "");
  await everywhere(guest.page, "an invitation", () => guest.page.getByText("You are invited.").waitFor(), [320, 1200]);
  const { link: reset } = await root.ask("reset_password", { user: ann.name });
  await page.goto(reset);
  await page.getByLabel("New password").waitFor();
  await check(page, "a link to a new password");
  assert.deepEqual([...ann.faults, ...guest.faults], []);
});

test("nor in German, where an admin keeps the chat", async () => {
  const guest = await Person.visit(browser, urls[0], fresh("gast"), GERMAN);
  const name = guest.page.getByRole("textbox", { name: words.login.name });
  await everywhere(guest.page, "the first visit", () => name.waitFor(), [320]);
  await name.fill(guest.name);
  await guest.page.getByLabel(words.login.password).fill(PASSWORD);
  await guest.page.getByRole("button", { name: words.login.create }).click();
  const first = guest.page.getByRole("button", { name: words.empty.first });
  await everywhere(guest.page, "no rooms", () => first.waitFor(), [320]);

  const { page } = root;
  assert.equal(await page.locator("html").getAttribute("lang"), "de");
  await root.createRoom(fresh("raum"));
  await root.say("Guten Tag");
  await root.sees("Guten Tag");
  await root.page.getByText(words.days.today, { exact: true }).waitFor();
  await everywhere(page, "a room", () => root.box.waitFor(), [320, 1200]);

  await page.getByRole("button", { name: words.nav.settings }).click();
  const settings = page.getByRole("dialog", { name: words.nav.settings });
  const { tabs } = settingsWords.settings;
  /**
   * Opens a part of the settings.
   * @param {keyof typeof tabs} tab
   */
  const part = async (tab) => {
    await settings.getByRole("tab", { name: tabs[tab], exact: true }).click();
    return settings.getByRole("tabpanel", { name: tabs[tab] });
  };
  const both = (/** @type {string} */ state, /** @type {import("playwright-core").Locator} */ what) => everywhere(page, state, () => what.waitFor(), [320, 1200]);
  /** What a question is answered with that nobody means. */
  const cancel = () => page.getByRole("button", { name: words.ask.cancel }).click();

  await both("account", (await part("account")).getByRole("button", { name: settingsWords.account.endAction }));
  await both("sessions", (await part("sessions")).getByText(settingsWords.sessions.current));
  await both("cluster", (await part("cluster")).getByRole("row", { name: settingsWords.cluster.roles.leader }));
  const people = await part("people");
  await people.getByRole("searchbox").fill(guest.name);
  await until("only the guest is listed", async () => (await people.getByRole("listitem").count()) === 1);
  await people.getByRole("button", { name: `${settingsWords.admin.makeAdmin} ${guest.name}` }).click();
  await both("make an admin", page.getByRole("dialog", { name: settingsWords.admin.adminHeading(guest.name) }));
  await cancel();
  await people.getByRole("button", { name: `${settingsWords.admin.reset} ${guest.name}` }).click();
  await both("people", people.getByRole("textbox", { name: settingsWords.admin.resetLink(guest.name) }));
  const rooms = await part("rooms");
  await both("rooms", rooms.getByRole("listitem").first());
  await rooms.getByRole("button", { name: settingsWords.admin.rename }).first().click();
  await both("a room's name and topic", page.getByRole("textbox", { name: words.newRoom.topic }));
  await cancel();
  const registration = await part("registration");
  await registration.getByRole("button", { name: settingsWords.registration.create }).click();
  await both("registration", registration.getByRole("textbox", { name: settingsWords.registration.link }));

  // The language is theirs to choose, whatever the browser asks for.
  const device = await part("preferences");
  const language = device.getByRole("combobox", { name: settingsWords.preferences.language });
  await both("this device", language);
  await language.selectOption({ label: "English" });
  await page.getByRole("navigation", { name: "Rooms" }).waitFor();
  assert.equal(await page.locator("html").getAttribute("lang"), "en");
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("tab", { name: "This device" }).click();
  await page.getByRole("combobox", { name: "Language" }).selectOption({ label: "As the browser asks" });
  await root.rooms.waitFor();
  assert.deepEqual([...root.faults, ...guest.faults], []);
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
