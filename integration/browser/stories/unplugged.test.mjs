/** With no server at all the page opens, shows what it had, and takes what one writes. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { back, fresh, kill, nameOf, openBrowser, Person, until, urls } from "./people.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

/**
 * What the page keeps of its rooms. To look must not make what is not there.
 * @param {import("playwright-core").Page} page
 * @returns {Promise<unknown[]>}
 */
const shelf = (page) =>
  page.evaluate(async () => {
    if (!(await indexedDB.databases()).some(({ name }) => name === "chat-shelf")) return [];
    return new Promise((resolve, reject) => {
      const opening = indexedDB.open("chat-shelf");
      opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const reading = opening.result.transaction("rooms").objectStore("rooms").getAll();
        opening.result.close();
        reading.onerror = () => reject(reading.error);
        reading.onsuccess = () => resolve(reading.result);
      };
    });
  });

/**
 * Why the browser would not install the page as a program of its own.
 * @param {import("playwright-core").Page} page
 */
async function notInstallable(page) {
  const browser = await page.context().newCDPSession(page);
  const { url, errors } = await browser.send("Page.getAppManifest");
  assert.match(url, /manifest/, "the page names a manifest");
  const { installabilityErrors } = await browser.send("Page.getInstallabilityErrors");
  // A story's browser keeps nothing: that alone is no fault of the page.
  return [...errors, ...installabilityErrors.filter(({ errorId }) => errorId !== "in-incognito")];
}

test("a page without any server shows what it had, and sends later what was written", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  const bob = await Person.arrive(browser, urls[1], fresh("bob"));
  const { room: unopened } = await bob.ask("open_direct", { users: [ann.name] });
  await bob.ask("send", { room: unopened.room, text: "said where nobody looked" });
  const room = fresh("cellar");
  await ann.createRoom(room);
  await ann.say("the last thing said above ground");
  await ann.sees("the last thing said above ground");
  await ann.isKept();
  await until("the message is kept", async () => JSON.stringify(await shelf(ann.page)).includes("above ground"));
  await until("so is one of a room that was not opened", async () => JSON.stringify(await shelf(ann.page)).includes("nobody looked"));

  for (const url of urls) await kill(nameOf(url));
  await ann.page.reload();
  await ann.message("the last thing said above ground").waitFor();
  await ann.status.filter({ hasText: "Reconnecting…" }).waitFor();
  await ann.say("written in the cellar");
  await ann.message("written in the cellar").filter({ hasText: "sending" }).waitFor();
  await ann.page.reload();
  await ann.message("written in the cellar").filter({ hasText: "sending" }).waitFor();
  await ann.open(bob.name);
  await ann.message("said where nobody looked").waitFor();
  await ann.open(room);

  await back(...urls.map(nameOf));
  await ann.sees("written in the cellar");
  await ann.sees("the last thing said above ground");
  assert.equal(await ann.message("written in the cellar").count(), 1);
  await ann.status.filter({ hasText: "Connected to" }).waitFor();
  assert.deepEqual(ann.faults, []);
});

test("a page that can be installed leaves nothing of a chat behind when one logs out", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  await ann.createRoom(fresh("secrets"));
  await ann.say("for nobody else");
  await ann.sees("for nobody else");
  await until("the message is kept", async () => (await shelf(ann.page)).length > 0);
  assert.deepEqual(await notInstallable(ann.page), []);
  await ann.page.getByRole("button", { name: "Log out" }).click();
  await ann.page.getByRole("button", { name: "Create account" }).waitFor();
  await until("the browser holds nothing", async () => (await shelf(ann.page)).length === 0);
  assert.doesNotMatch(await ann.page.evaluate(() => JSON.stringify({ ...localStorage })), /secrets/);
  assert.deepEqual(ann.faults, []);
});
