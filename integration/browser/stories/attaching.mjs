/** Files chosen in the page and taken from it, as a person does it. */

import assert from "node:assert/strict";

/**
 * @typedef {import("./people.mjs").Person} Person
 *
 * @param {Person} person
 * @param {{ name: string, mimeType: string, buffer: Buffer }[]} files
 */
export async function attach(person, files) {
  const [chooser] = await Promise.all([person.page.waitForEvent("filechooser"), person.page.getByRole("button", { name: "Attach files" }).click()]);
  await chooser.setFiles(files);
}

/**
 * @param {Person} person
 * @param {string} name
 */
export async function downloaded(person, name) {
  const [download] = await Promise.all([person.page.waitForEvent("download"), person.page.getByRole("button", { name: `Download ${name}` }).click()]);
  assert.equal(download.suggestedFilename(), name);
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  return Buffer.concat(chunks);
}
