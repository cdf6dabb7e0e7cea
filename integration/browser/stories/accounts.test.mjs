/** Keeping one's account, and keeping a chat: names, passwords, sessions, invitations, and the end of an account. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { adminName, adminPassword, fresh, openBrowser, PASSWORD, Person, until, urls } from "./people.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

/**
 * Opens a part of the settings.
 * @param {Person} person
 * @param {string} tab
 */
async function settings(person, tab) {
  const dialog = person.page.getByRole("dialog", { name: "Settings" });
  if (!(await dialog.isVisible())) await person.page.getByRole("button", { name: "Settings" }).click();
  await dialog.getByRole("tab", { name: tab, exact: true }).click();
  return dialog.getByRole("tabpanel");
}

/**
 * Looks for the only one of that name.
 * @param {import("playwright-core").Locator} panel
 * @param {string} name
 */
async function find(panel, name) {
  await panel.getByRole("searchbox", { name: "Find by name" }).fill(name);
  await until(`only ${name} is listed`, async () => (await panel.getByRole("listitem").count()) === 1);
}

test("a person keeps their account, and ends it", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  const room = fresh("accounts");
  await ann.createRoom(room);
  const bob = await Person.arrive(browser, urls[1], fresh("bob"));
  await until("bob's page lists the room", async () => (await bob.rooms.getByText(room).count()) > 0);
  await bob.open(room);
  await ann.say("hello");
  await bob.sees("hello");

  // A name that others see.
  let panel = await settings(ann, "Account");
  await panel.getByRole("textbox", { name: "Display name" }).fill("Ann of the Hill");
  await panel.getByRole("button", { name: "Save" }).click();
  await bob.message("hello").getByText("Ann of the Hill").waitFor();

  // Her other device, seen and ended.
  const other = await Person.logIn(browser, urls[2], ann.name, PASSWORD);
  await until("her node has it", async () => (await ann.ask("list_sessions", {})).sessions.length === 2);
  panel = await settings(ann, "Sessions");
  await panel.getByText("this one").waitFor();
  await panel.getByRole("button", { name: "End" }).click();
  await other.page.getByRole("button", { name: "Log in" }).waitFor();

  // Another password: the old one no longer opens anything.
  panel = await settings(ann, "Account");
  const change = panel.getByRole("form", { name: "Password" });
  await change.getByLabel("Current password").fill("not this one");
  await change.getByLabel("New password").fill("a longer one than before");
  await change.getByRole("button", { name: "Change password" }).click();
  await change.getByRole("alert").filter({ hasText: "not your current password" }).waitFor();
  await change.getByLabel("Current password").fill(PASSWORD);
  await change.getByRole("button", { name: "Change password" }).click();
  await change.getByText("Changed.").waitFor();
  await other.page.getByRole("textbox", { name: "Name" }).fill(ann.name);
  await other.page.getByLabel("Password").fill(PASSWORD);
  await other.page.getByRole("button", { name: "Log in" }).click();
  await other.page.getByRole("alert").filter({ hasText: "No account has this name and password" }).waitFor();

  // What she may see, to take along.
  const [download] = await Promise.all([ann.page.waitForEvent("download"), panel.getByRole("button", { name: "Download my data" }).click()]);
  assert.equal(download.suggestedFilename(), `${ann.name}.jsonl`);
  const lines = (await readFile(await download.path(), "utf8")).trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual([lines[0].user, lines.at(-1).type], [ann.name, "end"]);
  assert.ok(lines.some(({ type, text }) => type === "message" && text === "hello"));
  await panel.getByText("Downloaded.").waitFor();

  // The end: what she wrote stays, without her name; what she did not send goes with her.
  await ann.page.evaluate((name) => localStorage.setItem(`draft:${name}:1`, JSON.stringify({ text: "unsent", reply: null, files: [] })), ann.name);
  const end = panel.getByRole("form", { name: "Delete this account" });
  await end.getByLabel("Your password").fill("a longer one than before");
  await end.getByRole("button", { name: "Delete my account for good" }).click();
  await ann.page.getByRole("button", { name: "Create account" }).waitFor();
  await bob.message("hello").filter({ hasText: "deleted account" }).waitFor();
  assert.equal(await bob.message(ann.name).count(), 0);
  await until("the browser holds nothing of hers", () => ann.page.evaluate(() => !JSON.stringify({ ...localStorage }).includes("unsent")));
  assert.deepEqual([...ann.faults, ...bob.faults, ...other.faults], []);
});

test("an admin invites, disables and gives back a password", async () => {
  assert.ok(adminPassword, "set CHAT_ADMIN to an admin's name, a colon and the password");
  const root = await Person.logIn(browser, urls[0], adminName, adminPassword);
  let panel = await settings(root, "Registration");
  await panel.getByRole("radio", { name: "Only who is invited" }).check();
  await panel.getByRole("button", { name: "Save" }).click();
  await panel.getByText("Saved.").waitFor();

  // Nobody comes in by themselves now; who is invited does.
  const cat = await Person.visit(browser, urls[1], fresh("cat"));
  await cat.page.getByRole("textbox", { name: "Name" }).fill(cat.name);
  await cat.page.getByLabel("Password").fill(PASSWORD);
  await cat.page.getByRole("button", { name: "Create account" }).click();
  await cat.page.getByRole("alert").filter({ hasText: "Ask for an invitation" }).waitFor();
  await panel.getByRole("button", { name: "Create invitation" }).click();
  const link = await panel.getByRole("textbox", { name: "Invitation link" }).inputValue();
  await cat.page.goto(`${urls[1]}/${new URL(link).hash}`);
  await cat.page.getByText("You are invited.").waitFor();
  await cat.page.getByRole("textbox", { name: "Name" }).fill(cat.name);
  await cat.page.getByLabel("Password").fill(PASSWORD);
  await cat.page.getByRole("button", { name: "Create account" }).click();
  await cat.rooms.waitFor();
  assert.equal(new URL(cat.page.url()).hash, "", "a used link does not stay in the address");
  await until("root's node has it", async () => (await root.ask("list_invites", {})).invites.some((/** @type {any} */ one) => one.used === 1));
  panel = await settings(root, "Registration");
  await panel.getByText("used 1 of 1").first().waitFor();
  await panel.getByRole("radio", { name: "Anybody" }).check();
  await panel.getByRole("button", { name: "Save" }).click();
  await panel.getByText("Saved.").waitFor();

  // Disabled: out at once, on whichever node. Enabled again, with a new password.
  panel = await settings(root, "People");
  await find(panel, cat.name);
  await panel.getByRole("button", { name: `Disable ${cat.name}` }).click();
  await root.page.getByRole("dialog", { name: `Disable ${cat.name}?` }).getByRole("button", { name: "Disable" }).click();
  await cat.page.getByRole("button", { name: "Log in" }).waitFor();
  await panel.getByRole("button", { name: `Enable ${cat.name}` }).click();
  await panel.getByRole("button", { name: `Disable ${cat.name}` }).waitFor();
  await panel.getByRole("button", { name: `Reset password ${cat.name}` }).click();
  const reset = await panel.getByRole("textbox", { name: `A link for ${cat.name}` }).inputValue();
  await cat.page.goto(`${urls[2]}/${new URL(reset).hash}`);
  await cat.page.getByLabel("New password").fill("quite another one");
  await cat.page.getByRole("button", { name: "Set password and log in" }).click();
  await cat.rooms.waitFor();

  // An admin for a while. What is for admins is there when one is, and only then.
  const forAdmins = async () => {
    await settings(cat, "Account");
    const tabs = await cat.page.getByRole("tab").allTextContents();
    await cat.page.keyboard.press("Escape");
    return tabs.includes("People") && tabs.includes("All rooms") && tabs.includes("Registration");
  };
  assert.equal(await forAdmins(), false);
  await panel.getByRole("button", { name: `Make admin ${cat.name}` }).click();
  await root.page.getByRole("dialog", { name: `Make ${cat.name} an admin?` }).getByRole("button", { name: "Make admin" }).click();
  await until("cat is an admin", forAdmins);
  await panel.getByRole("button", { name: `No longer admin ${cat.name}` }).click();
  await until("cat is an admin no longer", async () => !(await forAdmins()));

  // A room that the admin is not in gets another name.
  const room = fresh("attic");
  await cat.createRoom(room, "private");
  await until("root's node has it", async () => (await root.ask("list_rooms", { all: true })).rooms.some((/** @type {any} */ one) => one.name === room));
  panel = await settings(root, "All rooms");
  await find(panel, room);
  await panel.getByText("Private room").waitFor();
  await panel.getByRole("button", { name: `Change ${room}` }).click();
  const dialog = root.page.getByRole("dialog", { name: `Change ${room}` });
  await dialog.getByRole("textbox", { name: "Room name" }).fill(`${room}-renamed`);
  await dialog.getByRole("button", { name: "Save" }).click();
  await panel.getByRole("button", { name: `Change ${room}-renamed` }).waitFor();
  await cat.isIn(`${room}-renamed`);
  assert.deepEqual([...root.faults, ...cat.faults], []);
});
