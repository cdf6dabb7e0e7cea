/** A message that was written long ago is found again, and its place opened. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { attach } from "./attaching.mjs";
import { fresh, openBrowser, Person, until, urls } from "./people.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

test("a message is found by its words and filters, and opened in its place", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  const room = fresh("finding");
  const word = fresh("heron").replace("-", "");
  await ann.createRoom(room);
  await ann.say(`the **${word}** stood in \`the water\``);
  for (let number = 0; number < 12; number++) await ann.say(`something else ${number}`);
  await ann.sees("something else 11");
  const other = fresh("elsewhere");
  await ann.createRoom(other);
  await ann.say(`a second ${word}`);
  await ann.sees(`a second ${word}`);

  const search = ann.page.getByRole("searchbox", { name: "Search" });
  await search.fill(word);
  await search.press("Enter");
  const results = ann.page.getByRole("complementary", { name: "Search results" });
  await results.getByText("2 messages").waitFor();
  assert.deepEqual(await results.getByRole("mark").allTextContents(), [word, word]);
  assert.match((await results.getByRole("link").first().textContent()) ?? "", new RegExp(`${ann.name}.*${other}.*a second`, "s"), "the newest first, with author and room");

  await search.fill(`${word.slice(0, -2)}* in:${room} from:me`);
  await search.press("Enter");
  await results.getByText("1 message", { exact: true }).waitFor();
  await results.getByRole("link", { name: "stood in the water" }).click();
  await ann.page.getByRole("heading", { name: room }).waitFor();
  await until("the message has the focus", () => ann.message(word).evaluate((article) => article === document.activeElement));
  assert.match(ann.page.url(), /#\/room\/\d+\/1$/, "and its place an address");

  // A file is found by its name, and a date is when it was sent.
  const drawn = fresh("drawn").replace("-", "");
  await attach(ann, [{ name: `${drawn} by hand.txt`, mimeType: "text/plain", buffer: Buffer.from("lines") }]);
  await ann.box.press("Enter");
  await ann.sees(drawn);
  await search.fill(`${drawn} before:2100-01-01`);
  await search.press("Enter");
  const found = results.getByRole("link", { name: `${drawn} by hand.txt` });
  await found.waitFor();
  assert.deepEqual(await found.getByRole("mark").allTextContents(), [drawn]);
  await search.fill(`${drawn} before:2020-01-01`);
  await search.press("Enter");
  await results.getByText("Nothing found.").waitFor();

  // What one writes in the box also finds rooms, and nothing is said to be found that is not.
  await search.fill(fresh("nowhere").replace("-", ""));
  await search.press("Enter");
  await results.getByText("Nothing found.").waitFor();
  await search.fill("before:2020-01-01");
  await search.press("Enter");
  await results.getByRole("alert").filter({ hasText: "Enter a word" }).waitFor();
  await results.getByRole("button", { name: "Close the results" }).click();
  await results.waitFor({ state: "detached" });
  assert.deepEqual(ann.faults, []);
});
