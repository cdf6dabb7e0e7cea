/** Programs beside people: what writes into a room from outside, and where its messages are posted. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fresh, openBrowser, Person, until, urls } from "./people.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

/**
 * Opens the programs of the open room.
 * @param {Person} person
 */
async function openPrograms({ page }) {
  if (!(await page.getByRole("complementary", { name: "People" }).isVisible())) await page.getByRole("button", { name: "People" }).click();
  await page.getByRole("button", { name: "Programs" }).click();
  const dialog = page.getByRole("dialog", { name: "Programs of" });
  await dialog.waitFor();
  return dialog;
}

test("whoever made a room lets a program write into it, and takes that back", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  await ann.createRoom(fresh("builds"));
  const dialog = await openPrograms(ann);
  await dialog.getByRole("button", { name: "Create address" }).click();
  await dialog.getByRole("alert").getByText("Enter something").waitFor();

  const name = fresh("ci");
  await dialog.getByRole("textbox", { name: "Name it writes under" }).fill(name);
  await dialog.getByRole("button", { name: "Create address" }).click();
  const box = dialog.getByRole("textbox", { name: "Address to post to" });
  const address = await box.inputValue();
  assert.ok(await box.evaluate((input) => input === document.activeElement), "what is told once has the focus");
  await dialog.getByText(`by ${ann.name}`).waitFor();
  const posted = () => fetch(address, { method: "POST", body: JSON.stringify({ text: "build 7 is done" }) });
  assert.equal((await posted()).status, 200);

  await dialog.getByRole("textbox", { name: "Name it writes under" }).fill(name);
  await dialog.getByRole("button", { name: "Create address" }).click();
  await dialog.getByRole("alert").getByText("Somebody has this name").waitFor();

  await dialog.getByRole("button", { name: `Remove ${name}` }).click();
  const question = ann.page.getByRole("dialog", { name: `Remove ${name}?` });
  await question.getByRole("button", { name: "Remove" }).click();
  await question.waitFor({ state: "detached" });
  await dialog.getByText(`by ${ann.name}`).waitFor({ state: "detached" });
  assert.notEqual((await posted()).status, 200);
  await ann.page.keyboard.press("Escape");
  await ann.sees("build 7 is done");
  assert.deepEqual(ann.faults, []);
});

test("a room's messages are posted elsewhere, and one sees when that fails", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  const bob = await Person.arrive(browser, urls[1], fresh("bob"));
  const room = fresh("outside");
  await ann.createRoom(room);
  let dialog = await openPrograms(ann);
  await dialog.getByRole("textbox", { name: "Address of the receiver" }).fill("ftp://example.org/");
  await dialog.getByRole("button", { name: "Post messages there" }).click();
  await dialog.getByRole("alert").getByText("http://").waitFor();

  // No such name can be there.
  const address = "https://receiver.invalid/chat";
  await dialog.getByRole("textbox", { name: "Address of the receiver" }).fill(address);
  await dialog.getByRole("button", { name: "Post messages there" }).click();
  assert.match(await dialog.getByRole("textbox", { name: "Secret of the signatures" }).inputValue(), /^\S{20,}$/);
  await dialog.getByText("everything is posted").waitFor();
  await dialog.getByRole("button", { name: "Close" }).click();

  await ann.say("is anybody there");
  await ann.sees("is anybody there");
  await until("the programs say that it fails", async () => {
    dialog = await openPrograms(ann);
    await dialog.getByRole("listitem").filter({ hasText: address }).waitFor();
    const fails = await dialog.getByText("fails since").isVisible();
    assert.equal(await dialog.getByRole("textbox", { name: "Secret of the signatures" }).count(), 0, "a secret is told once");
    if (!fails) await dialog.getByRole("button", { name: "Close" }).click();
    return fails;
  });
  await dialog.getByRole("button", { name: `Remove ${address}` }).click();
  await ann.page.getByRole("dialog", { name: "Remove" }).getByRole("button", { name: "Remove" }).click();
  await dialog.getByRole("listitem").filter({ hasText: address }).waitFor({ state: "detached" });
  await dialog.getByRole("button", { name: "Close" }).click();

  // It is for whoever made the room.
  await bob.rooms.getByText(room).click();
  await bob.page.getByRole("button", { name: "People" }).click();
  await bob.page.getByRole("complementary", { name: "People" }).getByText(ann.name).first().waitFor();
  assert.equal(await bob.page.getByRole("button", { name: "Programs" }).count(), 0);
  assert.deepEqual([...ann.faults, ...bob.faults], []);
});
