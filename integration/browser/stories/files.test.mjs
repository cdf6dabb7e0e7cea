/** Files go with messages: chosen, named, taken away, sent, seen and downloaded; also when the page is left before they are sent. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { attach, downloaded, PNG } from "./attaching.mjs";
import { back, fresh, kill, nameOf, openBrowser, Person, until, urls } from "./people.mjs";

const LARGE = Buffer.alloc(3_500_000, "large ");

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

/**
 * How many files the page keeps that wait to be sent. To look must not make what is not there.
 * @param {import("playwright-core").Page} page
 * @returns {Promise<number>}
 */
const blobs = (page) =>
  page.evaluate(async () => {
    if (!(await indexedDB.databases()).some(({ name }) => name === "chat-files")) return 0;
    return new Promise((resolve, reject) => {
      const opening = indexedDB.open("chat-files");
      opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const counting = opening.result.transaction("blobs").objectStore("blobs").count();
        opening.result.close();
        counting.onerror = () => reject(counting.error);
        counting.onsuccess = () => resolve(counting.result);
      };
    });
  });

test("files are sent with a message and read by the others", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  const room = fresh("files");
  await ann.createRoom(room);
  const bob = await Person.arrive(browser, urls[1], fresh("bob"));
  await until("bob's page lists the room", async () => (await bob.rooms.getByText(room).count()) > 0);
  await bob.open(room);

  await attach(ann, [
    { name: "small picture.png", mimeType: "image/png", buffer: PNG },
    { name: "not this one.txt", mimeType: "text/plain", buffer: Buffer.from("secret") },
    { name: "large.bin", mimeType: "application/octet-stream", buffer: LARGE },
  ]);
  const chips = ann.page.getByRole("list", { name: "Attached files" });
  assert.equal(await chips.getByRole("listitem").count(), 3);
  await chips.getByRole("button", { name: "Remove not this one.txt" }).click();
  // One that is pasted, or dropped, comes beside them.
  for (const kind of ["paste", "drop"]) {
    await ann.box.evaluate((box, how) => {
      const data = new DataTransfer();
      data.items.add(new File([how], `by ${how}.txt`, { type: "text/plain" }));
      const options = { bubbles: true, cancelable: true };
      box.dispatchEvent(how === "paste" ? new ClipboardEvent("paste", { ...options, clipboardData: data }) : new DragEvent("drop", { ...options, dataTransfer: data }));
    }, kind);
    await chips.getByText(`by ${kind}.txt`, { exact: true }).waitFor();
    await chips.getByRole("button", { name: `Remove by ${kind}.txt` }).click();
  }
  await ann.say("two files");
  await bob.sees("two files");
  const message = bob.message("two files");
  assert.equal(await message.getByRole("list", { name: "Files" }).getByRole("listitem").count(), 2);
  assert.equal(await bob.page.getByText("not this one").count(), 0);
  await message.getByRole("button", { name: "Open small picture.png" }).locator("img").waitFor();
  assert.ok((await downloaded(bob, "small picture.png")).equals(PNG));
  assert.ok((await downloaded(bob, "large.bin")).equals(LARGE));
  await ann.sees("two files");
  assert.equal(await ann.message("two files").count(), 1);
  assert.deepEqual([...ann.faults, ...bob.faults], []);
});

test("a file written without a majority is sent after a reload, once", async () => {
  const last = urls.length - 1;
  const ann = await Person.arrive(browser, urls[last], fresh("ann"));
  const room = fresh("waiting-files");
  await ann.createRoom(room);
  const gone = urls.slice(0, Math.ceil(urls.length / 2)).map(nameOf);
  for (const node of gone) await kill(node);
  await ann.status.filter({ hasText: "No majority" }).waitFor();
  await attach(ann, [
    { name: "kept.txt", mimeType: "text/plain", buffer: Buffer.from("kept all the same") },
    { name: "kept.png", mimeType: "image/png", buffer: PNG },
  ]);
  await ann.page.getByRole("list", { name: "Attached files" }).getByText("kept.txt", { exact: true }).waitFor();
  await ann.say("with a file");
  await ann.message("with a file").filter({ hasText: "sending" }).waitFor();
  await until("its bytes are kept", async () => (await blobs(ann.page)) === 2);
  await ann.page.reload();
  await ann.message("with a file").filter({ hasText: "sending" }).getByText("kept.txt", { exact: true }).waitFor();
  const height = async () => (await ann.message("with a file").boundingBox())?.height;
  const waiting = await height();
  await back(...gone);
  await ann.sees("with a file");
  assert.equal(await height(), waiting, "nothing moves when it is sent");
  assert.equal(String(await downloaded(ann, "kept.txt")), "kept all the same");
  assert.equal(await ann.message("with a file").count(), 1);
  assert.deepEqual(ann.faults, []);
});
