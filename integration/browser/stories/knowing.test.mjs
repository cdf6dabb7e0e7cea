/** What one is told of: unread messages and mentions, on all of one's devices, and nothing of what is muted. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fresh, openBrowser, PASSWORD, Person, until, urls } from "./people.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

/** Two people in a room, one of whom looks at another one. */
async function twoInARoom() {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  const room = fresh("calls");
  await ann.createRoom(room);
  const bob = await Person.arrive(browser, urls[1], fresh("bob"));
  await until("bob's page lists the room", async () => (await bob.rooms.getByText(room).count()) > 0);
  await bob.open(room);
  await bob.createRoom(fresh("elsewhere"));
  return { ann, bob, room };
}

test("unread messages and mentions are counted, and read on every device at once", async () => {
  const { ann, bob, room } = await twoInARoom();
  await ann.say("good morning all");
  await ann.say(`and you, @${bob.name}, in particular`);
  await bob.rooms.getByRole("link", { name: `${room} 1 mention 2 unread` }).waitFor();
  await until("the title counts them", async () => (await bob.page.title()).startsWith("(2 @1) "));

  // He reads them on another device, at another node.
  const phone = await Person.logIn(browser, urls[2], bob.name, PASSWORD);
  await phone.rooms.getByRole("link", { name: `${room} 1 mention 2 unread` }).waitFor();
  await phone.open(room);
  await phone.sees("in particular");
  await bob.rooms.getByRole("link", { name: room, exact: true }).waitFor();
  await until("the title counts nothing", async () => !(await bob.page.title()).startsWith("("));
  assert.deepEqual([...ann.faults, ...bob.faults, ...phone.faults], []);
});

test("a muted room is not counted, on any device", async () => {
  const { ann, bob, room } = await twoInARoom();
  await bob.open(room);
  await bob.page.getByRole("button", { name: "Mute this room" }).click();
  await bob.rooms.getByRole("link", { name: `${room} muted` }).waitFor();
  await bob.createRoom(fresh("elsewhere"));
  await ann.say("nobody has to hear this");
  const phone = await Person.logIn(browser, urls[2], bob.name, PASSWORD);
  await phone.rooms.getByRole("link", { name: `${room} muted`, exact: true }).waitFor();
  assert.equal((await phone.page.title()).startsWith("("), false);
  await bob.rooms.getByRole("link", { name: `${room} muted`, exact: true }).waitFor();
  assert.deepEqual([...ann.faults, ...bob.faults, ...phone.faults], []);
});

test("who asks for notifications gets them for mentions, but not for what is on the screen", async () => {
  const { ann, bob, room } = await twoInARoom();
  // A browser without a screen shows none: what the page asks for is taken down.
  await bob.page.addInitScript(() => {
    const shown = /** @type {string[]} */ ([]);
    Object.assign(globalThis, {
      shown,
      Notification: class {
        static permission = "default";
        static async requestPermission() {
          return (this.permission = "granted");
        }
        constructor(/** @type {string} */ title, /** @type {NotificationOptions} */ { body }) {
          shown.push(`${title}: ${body}`);
        }
        close() {}
      },
    });
  });
  await bob.page.reload();
  // What was said before the page is there is unread, and no news.
  await bob.status.filter({ hasText: "Connected to" }).waitFor();
  const shown = () => bob.page.evaluate(() => /** @type {any} */ (globalThis).shown);
  await bob.page.getByRole("button", { name: "Settings" }).click();
  await bob.page.getByRole("tab", { name: "This device" }).click();
  await bob.page.getByRole("button", { name: "Show notifications" }).click();
  await bob.page.getByText("You are notified of direct messages").waitFor();
  await bob.page.keyboard.press("Escape");

  await ann.say("nothing for anybody");
  await ann.say(`@${bob.name}, this is for you`);
  await until("the mention is told of", async () => (await shown()).length > 0);
  await bob.open(room);
  await bob.sees("this is for you");
  await ann.say(`@${bob.name}, and you see this one`);
  await bob.sees("and you see this one");
  assert.deepEqual(await shown(), [`${room}: ${ann.name}: @${bob.name}, this is for you`]);
  assert.deepEqual([...ann.faults, ...bob.faults], []);
});
