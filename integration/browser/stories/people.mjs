/**
 * What the stories have in common: people with browsers of their own, on nodes of a running cluster.
 *
 * From outside come `CHAT_URLS` (the nodes' public URLs, node1 first, with commas), `CHAT_KILL_COMMAND` and
 * `CHAT_START_COMMAND` (shell commands that take a node's name as the last argument), `CHAT_ADMIN` (an admin's name, a colon
 * and the password), and, where the browser is elsewhere, `CHAT_BROWSER`. Everything is found by role and label, as a person with a screen reader finds it.
 */

import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { words } from "../../../web-client/words.js";

const run = promisify(execFile);
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/** How long a page may take for what a person waits for. */
export const PATIENCE_MS = 30_000;

/** Everybody's own, but the admin's. */
export const PASSWORD = "a long enough one";

export const [adminName, adminPassword] = (process.env.CHAT_ADMIN ?? ":").split(":");

export const urls = (process.env.CHAT_URLS ?? "").split(",").filter(Boolean);

/** @param {string} url */
export const nameOf = (url) => `node${urls.indexOf(url) + 1}`;

export const kill = (/** @type {string} */ node) => control("CHAT_KILL_COMMAND", node);
const start = (/** @type {string} */ node) => control("CHAT_START_COMMAND", node);

/** Nodes that were killed, again, each with all of the chat. @param {string[]} nodes */
export async function back(...nodes) {
  for (const node of nodes) await start(node);
  for (const node of nodes) {
    const url = urls[Number(node.slice("node".length)) - 1];
    await until(`${node} is back`, () => fetch(`${url}/health/ready`).then(({ ok }) => ok, () => false));
  }
}

/**
 * @param {string} variable
 * @param {string} node
 */
async function control(variable, node) {
  const command = process.env[variable];
  if (!command) throw new Error(`set ${variable} to a command that takes a node's name`);
  await run("sh", ["-c", `${command} "$0"`, node]);
}

export function openBrowser() {
  if (urls.length < 3) throw new Error("set CHAT_URLS to the URLs of at least three nodes");
  return chromium.launch({ executablePath: process.env.CHAT_BROWSER ?? "/usr/bin/chromium", args: FLAGS });
}

/** A name that no earlier run has taken. @param {string} stem */
export const fresh = (stem) => `${stem}-${Date.now().toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`;

/** @typedef {{ locale: string, words: typeof words }} Language what a browser asks for, and what the page then says */

/** @type {Language} */
const ENGLISH = { locale: "en-US", words };

export class Person {
  /**
   * @param {import("playwright-core").Page} page
   * @param {string} name
   * @param {Language} [language]
   */
  constructor(page, name, language = ENGLISH) {
    this.page = page;
    this.name = name;
    this.words = language.words;
    this.rooms = page.getByRole("navigation", { name: this.words.nav.rooms });
    this.log = page.getByRole("log");
    this.box = page.getByRole("textbox", { name: this.words.composer.label });
    this.status = page.getByRole("status");
  }

  /**
   * Opens the page of a node in a browser of one's own, and creates an account.
   * @param {import("playwright-core").Browser} browser
   * @param {string} url
   * @param {string} name
   */
  static async arrive(browser, url, name) {
    const person = await Person.visit(browser, url, name);
    await person.page.getByRole("textbox", { name: "Name" }).fill(name);
    await person.page.getByLabel("Password").fill(PASSWORD);
    await person.page.getByRole("button", { name: "Create account" }).click();
    await person.rooms.waitFor();
    return person;
  }

  /**
   * Opens a page in a browser of one's own.
   * @param {import("playwright-core").Browser} browser
   * @param {string} url
   * @param {string} name
   * @param {Language} [language]
   */
  static async visit(browser, url, name, language = ENGLISH) {
    const context = await browser.newContext({ locale: language.locale });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const person = new Person(page, name, language);
    page.on("pageerror", (error) => person.faults.push(String(error)));
    await page.goto(url);
    return person;
  }

  /**
   * Opens the page of a node in a browser of one's own, and logs in.
   * @param {import("playwright-core").Browser} browser
   * @param {string} url
   * @param {string} name
   * @param {string} password
   * @param {Language} [language]
   */
  static async logIn(browser, url, name, password, language = ENGLISH) {
    const person = await Person.visit(browser, url, name, language);
    const { login } = person.words;
    await person.page.getByRole("textbox", { name: login.name }).fill(name);
    await person.page.getByLabel(login.password).fill(password);
    await person.page.getByRole("button", { name: login.logIn }).click();
    await person.rooms.waitFor();
    return person;
  }

  /** What went wrong inside the page. @type {string[]} */
  faults = [];

  /**
   * Asks a node as a program of this person's would: again, under the same id, while that can help.
   * @param {string} op
   * @param {Record<string, unknown>} fields
   */
  async ask(op, fields) {
    const token = await this.page.evaluate(() => JSON.parse(localStorage.getItem("session") ?? "{}").token);
    const headers = { "content-type": "application/json", authorization: `Bearer ${token}`, "idempotency-key": randomUUID() };
    const request = { method: "POST", headers, body: JSON.stringify(fields) };
    let reply;
    await until(`${op} is answered`, async () => {
      reply = await (await fetch(`${new URL(this.page.url()).origin}/api/v1/${op}`, request)).json();
      return !reply.error?.retry;
    });
    if (!reply.ok) throw new Error(`${op}: ${JSON.stringify(reply.error)}`);
    return reply;
  }

  /**
   * @param {string} room
   * @param {"public" | "private"} [kind]
   */
  async createRoom(room, kind = "public") {
    const { nav, newRoom } = this.words;
    await this.page.getByRole("button", { name: nav.newRoom }).click();
    const dialog = this.page.getByRole("dialog");
    await dialog.getByRole("textbox", { name: newRoom.name }).fill(room);
    await dialog.getByRole("radio", { name: newRoom[kind] }).check();
    await dialog.getByRole("button", { name: newRoom.create }).click();
    await this.isIn(room);
  }

  /** Opens a room from the list; a public one that one is not in yet is joined by that. @param {string} room */
  async open(room) {
    await this.rooms.getByRole("link", { name: room }).or(this.rooms.getByRole("button", { name: room })).click();
    await this.isIn(room);
  }

  /** Waits until a room is the one that is open: another's composer may be there before. @param {string} room */
  async isIn(room) {
    await this.page.getByRole("heading", { name: room, level: 1 }).waitFor();
    await this.box.waitFor();
  }

  /** Waits until the page opens without any server. */
  async isKept() {
    await until("the page is kept", () =>
      this.page.evaluate(async () => {
        const worker = await navigator.serviceWorker.getRegistration();
        return worker?.active?.state === "activated" && (await caches.match("/shell.json")) !== undefined;
      }),
    );
  }

  /** @param {string} text */
  async say(text) {
    await this.box.fill(text);
    await this.box.press("Enter");
  }

  /** @param {string} text */
  message(text) {
    return this.log.getByRole("article").filter({ hasText: text });
  }

  /** Waits until a message is there, acknowledged. @param {string} text */
  async sees(text) {
    await this.message(text).filter({ hasNotText: this.words.message.sending }).first().waitFor();
  }

  /**
   * @param {string} text the message's
   * @param {string} action the button's name
   */
  async act(text, action) {
    // The oldest one: an answer may quote it.
    const message = this.message(text).first();
    await message.hover();
    await message.getByRole("button", { name: action, exact: true }).click();
  }
}

/**
 * Asks again and again until the answer is yes; fails with what was asked.
 * @param {string} what
 * @param {() => Promise<boolean>} ask
 */
export async function until(what, ask, patience_ms = PATIENCE_MS) {
  const end = Date.now() + patience_ms;
  while (!(await ask())) {
    if (Date.now() > end) throw new Error(`not within ${patience_ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
