/** Who is known, where there are more people than a page loads. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Reader } from "../reader.js";
import { Store } from "../store.js";

/** A chat of so many people, named p0000 and on. @param {number} count */
async function among(count) {
  const names = Array.from({ length: count }, (_, at) => `p${String(at).padStart(4, "0")}`);
  const asked = /** @type {string[]} */ ([]);
  const store = new Store();
  const reader = new Reader(store, async (_, fields) => {
    const match = /** @type {string | undefined} */ (fields.match);
    if (match) asked.push(match);
    const fits = match ? names.filter((name) => new RegExp(`^${match.replaceAll("*", ".*")}$`).test(name)) : names.filter((name) => name > String(fields.after ?? ""));
    return { re: "", ok: true, users: fits.slice(0, Number(fields.limit)).map((name) => ({ name, display: name.toUpperCase() })) };
  });
  await reader.loadUsers();
  return { store, reader, asked };
}

test("whoever is not among the first of very many is asked for by name, once", async () => {
  const { store, reader, asked } = await among(2500);
  assert.equal(store.users.has("p2400"), false);
  reader.knowUsers(["p2400", "p0001", "p2400"]);
  await reader.findUsers("P24");
  assert.equal(store.display("p2400"), "P2400");
  assert.equal(reader.findUsers("p24"), null);
  assert.deepEqual(asked, ["p2400", "*p24*"]);
});

test("where everybody is known nobody is asked for", async () => {
  const { store, reader, asked } = await among(200);
  assert.equal(store.users.size, 200);
  reader.knowUsers(["who"]);
  assert.equal(reader.findUsers("who"), null);
  assert.deepEqual(asked, []);
});
