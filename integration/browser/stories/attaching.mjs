/** Files chosen in the page and taken from it, as a person does it. */

import assert from "node:assert/strict";

/** A picture of two by two points. */
export const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFklEQVR4nGP8z8Dwn4GBgYGJAQoAHxcCAk+Uzr4AAAAASUVORK5CYII=", "base64");

/** A second of silence: 8,000 samples of a byte each, behind the head of a WAV file. */
export const WAV = Buffer.concat([
  Buffer.from("RIFFd\x1f\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0@\x1f\0\0@\x1f\0\0\x01\0\x08\0data@\x1f\0\0", "latin1"),
  Buffer.alloc(8000, 128),
]);

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
