/**
 * Two people's whole day: rooms, mentions, files, edits, search, a second device, a train without a network; and the nodes
 * are killed one after the other, each back before the next.
 */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { attach, downloaded } from "./attaching.mjs";
import { back, fresh, kill, nameOf, openBrowser, PASSWORD, Person, until, urls } from "./people.mjs";

const PIECE = 1024 * 1024;
/** In four pieces, each another one. */
const PLAN = Buffer.from(Uint8Array.from({ length: 3.5 * PIECE }, (_, at) => (at * 31 + (at >> 12)) & 255));

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());

/** @param {Person} person */
const servedBy = async (person) => /^Connected to (node\d+)$/.exec((await person.status.textContent()) ?? "")?.[1] ?? null;

/**
 * The node that somebody is on.
 * @param {Person} person
 * @returns {Promise<string>}
 */
async function nodeOf(person) {
  /** @type {string | null} */
  let node = null;
  await until(`${person.name} is on a node`, async () => (node = await servedBy(person)) !== null);
  return node ?? "";
}

/**
 * Waits until somebody is on another node than that one.
 * @param {Person} person
 * @param {string} node
 */
const isElsewhere = (person, node) => until(`${person.name} is on another node`, async () => ![null, node].includes(await servedBy(person)));

/**
 * Kills the node that somebody is on, and waits until they are on another one; which it was.
 * @param {Person} person
 */
async function lose(person) {
  const node = await nodeOf(person);
  await kill(node);
  await isElsewhere(person, node);
  return node;
}

/**
 * The conversation as a person sees it, from its beginning: an entry a message, with what belongs to it.
 * @param {Person} person
 */
async function conversation(person) {
  await person.log.getByText("The beginning").waitFor();
  await until("nothing is on its way", async () => (await person.log.getByText("sending").count()) === 0);
  // Author, time and what was said. The initial beside it and what can be done with it are the reader's own, and so is
  // what stands together as a group, where times are short.
  return person.log.getByRole("article").evaluateAll((articles) =>
    articles.map((article) => {
      const said = article.querySelector("header")?.parentElement?.textContent ?? "";
      return said.replace(/\s+/g, " ").replace(/(\d:\d\d) [AP]M/, "$1").trim();
    }),
  );
}

test("two people's whole day, with two devices, while the nodes die one after the other", async () => {
  const ann = await Person.arrive(browser, urls[0], fresh("ann"));
  const bob = await Person.arrive(browser, urls[1], fresh("bob"));
  const phone = await Person.logIn(browser, urls[2], bob.name, PASSWORD);
  const [plaza, council] = [fresh("plaza"), fresh("council")];
  const heron = fresh("heron").replace("-", "");

  // Morning. A room for everybody, and one only for who is invited.
  await ann.createRoom(plaza);
  await until("bob's page lists the room", async () => (await bob.rooms.getByText(plaza).count()) > 0);
  await bob.open(plaza);
  await ann.createRoom(council, "private");
  await ann.page.getByRole("button", { name: "People" }).click();
  const people = ann.page.getByRole("complementary", { name: "People" });
  await people.getByRole("textbox", { name: "Who to invite" }).fill(bob.name);
  await people.getByRole("button", { name: "Invite" }).click();
  await people.getByText("2 people").waitFor();
  await ann.page.keyboard.press("Escape");
  await bob.open(council);

  // He is called while he looks elsewhere, on both of his devices; what he reads on one is read on the other.
  await ann.open(plaza);
  await ann.say(`good morning @${bob.name}, a ${heron} stood at the gate`);
  const called = { name: `${plaza} 1 mention 1 unread` };
  await bob.rooms.getByRole("link", called).waitFor();
  await phone.rooms.getByRole("link", called).waitFor();
  await phone.open(plaza);
  await phone.sees(heron);
  await bob.rooms.getByRole("link", { name: plaza, exact: true }).waitFor();

  // What is half written stays where it is written.
  await bob.open(plaza);
  await bob.box.fill("half a thought at the desk");
  assert.equal(await phone.box.inputValue(), "");
  await phone.box.fill("another one on the way");

  // The first node dies, while a file is on its way to it.
  let [pieces, first] = [0, ""];
  await ann.page.route("**/api/v1/uploads/**", async (route) => {
    if (++pieces === 2) await kill((first = nameOf(new URL(route.request().url()).origin)));
    await route.continue();
  });
  await attach(ann, [{ name: "plan of the gate.bin", mimeType: "application/octet-stream", buffer: PLAN }]);
  await ann.say("the plan, as promised");
  await ann.message("the plan").filter({ hasText: "sending" }).waitFor();
  await ann.sees("the plan");
  assert.ok(pieces >= 2, "it was under way");
  await isElsewhere(ann, first);
  await bob.sees("the plan");
  assert.ok((await downloaded(bob, "plan of the gate.bin")).equals(PLAN));
  assert.equal(await bob.log.getByRole("button", { name: "Download plan of the gate.bin" }).count(), 1);
  await back(first);

  // Noon. Words between the two; he loses his node while he puts one of them right.
  await bob.page.getByRole("button", { name: "New direct message" }).click();
  const dialog = bob.page.getByRole("dialog", { name: "New direct message" });
  await dialog.getByRole("textbox", { name: "Name" }).fill(ann.name);
  await dialog.getByRole("button", { name: "Start" }).click();
  await bob.isIn(ann.name);
  await bob.say("lunch at nono?");
  await ann.rooms.getByRole("link", { name: `${bob.name} 1 unread` }).waitFor();
  await ann.open(bob.name);
  await ann.sees("lunch at nono?");
  await bob.sees("lunch at nono?");
  await bob.act("lunch at nono?", "Edit");
  await bob.page.getByRole("textbox", { name: "New wording" }).fill("lunch at ");
  const second = await lose(bob);
  await bob.page.getByRole("textbox", { name: "New wording" }).pressSequentially("noon?");
  await bob.page.keyboard.press("Enter");
  await ann.message("lunch at noon?").filter({ hasText: "edited" }).waitFor();
  assert.equal(await ann.message("nono").count(), 0);
  await ann.act("lunch at noon?", "React");
  await ann.page.getByRole("menuitem", { name: "👍" }).click();
  await bob.message("lunch at noon?").getByRole("button", { name: "👍 1" }).waitFor();
  await ann.act("lunch at noon?", "Reply");
  await ann.say("I am hungry already");
  await bob.message("hungry").getByRole("button", { name: /In reply to .*lunch at noon/ }).waitFor();
  await back(second);

  // Afternoon. He wants no more to be called from the plaza; it is so on both devices.
  await bob.open(plaza);
  assert.equal(await bob.box.inputValue(), "half a thought at the desk");
  await bob.page.getByRole("button", { name: "Mute this room" }).click();
  await phone.open(council);
  await phone.rooms.getByRole("link", { name: `${plaza} muted`, exact: true }).waitFor();
  await bob.open(council);
  await ann.open(plaza);
  await ann.say("who has seen my bicycle");
  await ann.sees("who has seen my bicycle");
  await until("nothing is unread", async () => (await phone.rooms.getByRole("link", { name: /unread/ }).count()) === 0);
  assert.equal(await bob.rooms.getByRole("link", { name: /unread/ }).count(), 0);

  // She is on a train: no network at all. The page opens, and takes what she writes, in two rooms.
  await ann.isKept();
  await ann.page.context().setOffline(true);
  await ann.status.filter({ hasText: "Reconnecting…" }).waitFor();
  await ann.say("from the train, one");
  await ann.say("from the train, two");
  await ann.message("train, two").filter({ hasText: "sending" }).waitFor();
  await ann.page.reload();
  await ann.message("train, one").filter({ hasText: "sending" }).waitFor();
  await ann.message("train, two").filter({ hasText: "sending" }).waitFor();
  await ann.say("from the train, three");
  await ann.open(council);
  await ann.say("the council meets at six");
  // Meanwhile the third node goes, with his phone on it.
  const third = await lose(phone);
  await ann.page.context().setOffline(false);
  await phone.sees("the council meets at six");
  await bob.sees("the council meets at six");
  await ann.sees("the council meets at six");
  await back(third);

  // Evening. On the phone he looks for what was said in the morning.
  const search = phone.page.getByRole("searchbox", { name: "Search" });
  await search.fill(`${heron} from:${ann.name}`);
  await search.press("Enter");
  const results = phone.page.getByRole("complementary", { name: "Search results" });
  await results.getByText("1 message", { exact: true }).waitFor();
  await results.getByRole("link", { name: heron }).click();
  await phone.isIn(plaza);
  await until("the message has the focus", () => phone.message(heron).evaluate((article) => article === document.activeElement));
  await results.getByRole("button", { name: "Close the results" }).click();
  await search.fill("");
  assert.equal(await phone.box.inputValue(), "another one on the way");

  // At night all three hold the same, each message once, also after the page was opened anew.
  const said = {
    [plaza]: [heron, "the plan, as promised", "my bicycle", "the train, one", "the train, two", "the train, three"],
    [council]: ["the council meets at six"],
  };
  for (const [room, texts] of Object.entries(said)) {
    for (const person of [ann, bob, phone]) {
      await person.open(room);
      for (const text of texts) await person.sees(text);
    }
    const [hers, his, phones] = await Promise.all([ann, bob, phone].map(conversation));
    assert.equal(hers.length, texts.length, `${room}: ${hers.join(" | ")}`);
    texts.forEach((text, at) => assert.ok(hers[at].includes(text), `${hers[at]}: ${text}`));
    assert.deepEqual(his, hers, `${room}: at his desk`);
    assert.deepEqual(phones, hers, `${room}: on his phone`);
    await phone.page.reload();
    await phone.isIn(room);
    await phone.log.getByText("The beginning").waitFor();
    for (const text of texts) await phone.sees(text);
    assert.deepEqual(await conversation(phone), hers, `${room}: and on a phone switched on anew`);
  }
  await ann.open(bob.name);
  for (const person of [bob, phone]) await person.open(ann.name);
  const [hers, ...his] = await Promise.all([ann, bob, phone].map(conversation));
  assert.equal(hers.length, 2, hers.join(" | "));
  assert.deepEqual(his[0], his[1], "a reaction of oneself is told in other words, but on both devices alike");
  await nodeOf(ann);
  assert.deepEqual([...ann.faults, ...bob.faults, ...phone.faults], []);
});
