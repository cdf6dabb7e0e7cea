/**
 * What the stories have in common: people with browsers of their own, on nodes of a running cluster.
 *
 * From outside come `CHAT_URLS` (the nodes' public URLs, node1 first, with commas), `CHAT_KILL_COMMAND` and
 * `CHAT_START_COMMAND` (shell commands that take a node's name as the last argument), `CHAT_ADMIN` (an admin's name, a colon
 * and the password), and, where the browser is elsewhere, `CHAT_BROWSER`. Everything is found by role and label, as a person with a screen reader finds it.
 */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const run = promisify(execFile);
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/** How long a page may take for what a person waits for. */
export const PATIENCE_MS = 15_000;

/** Everybody's own, but the admin's. */
export const PASSWORD = "a long enough one";

export const [adminName, adminPassword] = (process.env.CHAT_ADMIN ?? ":").split(":");

export const urls = (process.env.CHAT_URLS ?? "").split(",").filter(Boolean);

/** @param {string} url */
export const nameOf = (url) => `node${urls.indexOf(url) + 1}`;

export const kill = (/** @type {string} */ node) => control("CHAT_KILL_COMMAND", node);
export const start = (/** @type {string} */ node) => control("CHAT_START_COMMAND", node);

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

export class Person {
  /**
   * @param {import("playwright-core").Page} page
   * @param {string} name
   */
  constructor(page, name) {
    this.page = page;
    this.name = name;
    this.rooms = page.getByRole("navigation", { name: "Rooms" });
    this.log = page.getByRole("log");
    this.box = page.getByRole("textbox", { name: "Message" });
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
   */
  static async visit(browser, url, name) {
    const context = await sourced(browser);
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const person = new Person(page, name);
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
   */
  static async logIn(browser, url, name, password) {
    const person = await Person.visit(browser, url, name);
    await person.page.getByRole("textbox", { name: "Name" }).fill(name);
    await person.page.getByLabel("Password").fill(password);
    await person.page.getByRole("button", { name: "Log in" }).click();
    await person.rooms.waitFor();
    return person;
  }

  /** What went wrong inside the page. @type {string[]} */
  faults = [];

  /**
   * Asks a node as a program of this person's would.
   * @param {string} op
   * @param {Record<string, unknown>} fields
   */
  async ask(op, fields) {
    const token = await this.page.evaluate(() => JSON.parse(localStorage.getItem("session") ?? "{}").token);
    const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
    const answer = await fetch(`${new URL(this.page.url()).origin}/api/v1/${op}`, { method: "POST", headers, body: JSON.stringify(fields) });
    const reply = await answer.json();
    if (!reply.ok) throw new Error(`${op}: ${JSON.stringify(reply.error)}`);
    return reply;
  }

  /**
   * @param {string} room
   * @param {"Public" | "Private"} [kind]
   */
  async createRoom(room, kind = "Public") {
    await this.page.getByRole("button", { name: "New room" }).click();
    const dialog = this.page.getByRole("dialog");
    await dialog.getByRole("textbox", { name: "Room name" }).fill(room);
    await dialog.getByRole("radio", { name: kind }).check();
    await dialog.getByRole("button", { name: "Create" }).click();
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
    await this.message(text).filter({ hasNotText: "sending" }).first().waitFor();
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
import { readFile as readFile_ } from "node:fs/promises";
const KIND = {js:"text/javascript",css:"text/css",html:"text/html",svg:"image/svg+xml",webmanifest:"application/manifest+json",png:"image/png"};
async function sourced(browser) {
  const ctx = await browser.newContext({ serviceWorkers: "block" });
  await ctx.route(u => urls.includes(u.origin) && !u.pathname.startsWith("/api/") && u.pathname!=="/metrics" && u.pathname!=="/ws", async (route) => {
    const u = new URL(route.request().url());
    const path = u.pathname === "/" ? "index.html" : u.pathname.slice(1);
    try {
      const body = await readFile_("/work/trees/fixpage/web-client/" + path);
      const headers = {"content-type": KIND[path.split(".").pop()] ?? "application/octet-stream"};
      if (path === "index.html") headers["content-security-policy"] = `default-src 'self'; connect-src 'self' ${urls.join(" ")} ${urls.map(x=>x.replace("http","ws")).join(" ")}; img-src 'self' blob: ${urls.join(" ")}; media-src 'self' blob: ${urls.join(" ")}; script-src 'self'; require-trusted-types-for 'script'`;
      await route.fulfill({ body, headers });
    } catch { await route.fulfill({ status: 404, body: "no" }); }
  });
  return ctx;
}
