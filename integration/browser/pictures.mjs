/**
 * Takes the pictures of docs/images, on five nodes that nobody has used yet, into the folder that `CHAT_PICTURES` names:
 * `CHAT_PICTURES=$PWD/docs/images cargo test --release --test integration pictures`.
 */

import { attach } from "./stories/attaching.mjs";
import { adminName, adminPassword, kill, nameOf, openBrowser, Person, until, urls } from "./stories/people.mjs";

const FOLDER = process.env.CHAT_PICTURES;
/** So many points have the lines of the mailboxes. */
const POINTS = Number(process.argv[2] ?? 10);
const WIDE = { width: 1200, height: 760 };
const NARROW = { width: 360, height: 700 };

/**
 * @param {Person} person
 * @param {string} name
 */
async function picture(person, name) {
  // Neither a cursor that blinks nor what only the pointer shows.
  await person.page.mouse.move(WIDE.width - 1, 1);
  await person.page.screenshot({ path: `${FOLDER}/page-${name}.png`, animations: "disabled", caret: "hide" });
}

/** A small picture to attach: two hills before an evening sky. @param {Person} person */
async function hills(person) {
  const url = await person.page.evaluate(() => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 130 });
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const sky = pen.createLinearGradient(0, 0, 0, 130);
    sky.addColorStop(0, "#31456b");
    sky.addColorStop(1, "#e9b98a");
    pen.fillStyle = sky;
    pen.fillRect(0, 0, 320, 130);
    for (const [color, x, y, radius] of /** @type {[string, number, number, number][]} */ ([["#47604f", 90, 230, 150], ["#2f4638", 260, 250, 170]])) {
      pen.fillStyle = color;
      pen.beginPath();
      pen.arc(x, y, radius, 0, 2 * Math.PI);
      pen.fill();
    }
    return canvas.toDataURL("image/png");
  });
  return Buffer.from(url.slice(url.indexOf(",") + 1), "base64");
}

/**
 * @param {Person} person
 * @param {string} text
 */
async function say(person, text) {
  const before = await person.log.getByRole("article").count();
  await person.say(text);
  await until(`${person.name} said it`, async () => (await person.log.getByRole("article").count()) > before && (await person.log.getByText("sending").count()) === 0);
}

const browser = await openBrowser();
try {
  const root = await Person.logIn(browser, urls[2], adminName, adminPassword);
  const ann = await Person.arrive(browser, urls[0], "ann");
  const bob = await Person.arrive(browser, urls[1], "bob");
  for (const person of [root, ann, bob]) await person.page.setViewportSize(WIDE);
  for (const room of ["deployments", "general", "lunch", "watercooler"]) await ann.createRoom(room);
  for (const room of ["deployments", "watercooler", "general"]) {
    await until(`bob's page lists ${room}`, async () => (await bob.rooms.getByText(room).count()) > 0);
    await bob.open(room);
    if (room === "watercooler") await bob.page.getByRole("button", { name: "Mute this room" }).click();
  }
  await ann.open("general");
  await say(ann, "Good morning. The build of **node 3** is green agian.");
  await ann.act("Good morning", "Edit");
  await ann.page.getByRole("textbox", { name: "New wording" }).fill("Good morning. The build of **node 3** is green again.");
  await ann.page.keyboard.press("Enter");
  await bob.message("green again").filter({ hasText: "edited" }).waitFor();
  await say(bob, "Nice. Was it the disk, or the *timeout* we saw on Friday?");
  await say(ann, "The disk:\n```\nERROR storage: fsync failed\n```\nIt is replaced, and the node filled itself from the others.");
  await bob.act("filled itself", "Reply");
  await say(bob, "I did not even notice, @ann, and I was writing all the time.");
  await ann.act("did not even notice", "React");
  await ann.page.getByRole("menuitem", { name: "🎉" }).click();
  await attach(ann, [{ name: "from the office.png", mimeType: "image/png", buffer: await hills(ann) }]);
  await say(ann, "The rest can wait until tomorrow: look.");
  await until("the picture is there", async () => (await bob.log.locator("img").count()) > 0);
  await ann.open("deployments");
  await say(ann, "@bob `node1` to `node5` are upgraded, one after the other.");
  await bob.rooms.getByRole("link", { name: /deployments 1 mention/ }).waitFor();

  await picture(bob, "light");
  await bob.page.emulateMedia({ colorScheme: "dark" });
  await picture(bob, "dark");
  await bob.page.setViewportSize(NARROW);
  await picture(bob, "narrow");
  await bob.page.emulateMedia({ colorScheme: "light" });
  await bob.page.setViewportSize(WIDE);

  const search = bob.page.getByRole("searchbox", { name: "Search" });
  await search.fill("node");
  await search.press("Enter");
  const results = bob.page.getByRole("complementary", { name: "Search results" });
  await results.getByText(/\d messages/).waitFor();
  await picture(bob, "search");
  await results.getByRole("button", { name: "Close the results" }).click();
  await search.fill("");

  await root.page.getByRole("button", { name: "Settings" }).click();
  await root.page.getByRole("tab", { name: "Cluster" }).click();
  await root.page.getByRole("dialog").getByText(nameOf(urls[4])).first().waitFor();
  const line = root.page.getByRole("table", { name: "Actors" }).locator("polyline").first();
  await until("the lines have some length", async () => ((await line.getAttribute("points")) ?? "").split(" ").length >= POINTS);
  await picture(root, "cluster");

  for (const url of urls.slice(0, 3)) await kill(nameOf(url));
  await bob.status.filter({ hasText: /majority/i }).waitFor();
  await bob.open("general");
  await bob.say("I write this now, and it goes out by itself.");
  await bob.message("goes out by itself").waitFor();
  await picture(bob, "no-majority");
} finally {
  await browser.close();
}
process.exit(0);
