/** What is loaded without anybody asking: people where there are very many, rooms that nobody opened. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { readMessage, readWelcome } from "../frames.js";
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

const message = (/** @type {number} */ room, /** @type {number} */ seq) => ({ at: seq, room, seq, id: `m${seq}`, from: "bob", text: `said ${seq}`, time: seq, version: 1 });

/** Four rooms of three messages each; one of the last one's is unread. */
function withRooms() {
  const asked = /** @type {unknown[]} */ ([]);
  const store = new Store();
  const room = (/** @type {number} */ number, unread = 0) => ({ room: number, name: `r${number}`, kind: "public", member: true, last_seq: 3, read_seq: 3 - unread, unread, at: number });
  store.welcome(readWelcome({ user: { name: "ann" }, node: "n", cursor: 9, epoch: "e", rooms: [room(1), room(2), room(3), room(4, 1)], nodes: [] }));
  const reader = new Reader(store, async (_, fields) => {
    asked.push(fields.room);
    return { re: "", ok: true, messages: [1, 2, 3].map((seq) => message(Number(fields.room), seq)) };
  });
  return { store, reader, asked };
}

test("the rooms that nobody opened are loaded ahead, but for those that are written down as they are", async () => {
  const { store, reader, asked } = withRooms();
  const kept = [1, 2, 3].map((seq) => readMessage(message(2, seq))).filter((one) => one !== null);
  store.recall("e", new Map([[2, kept], [3, kept.slice(0, 2)]]), []);
  store.open(1);
  await reader.loadAhead();
  assert.deepEqual(asked, [4, 3, 1], "what is unread first, then what changed last");
  assert.equal(store.rooms.get(3)?.loaded, true);
  assert.equal(store.rooms.get(3)?.messages.size, 3);
  assert.equal(store.rooms.get(1)?.loaded, false, "who opened it has it as they wanted it");
  store.open(2);
  store.shelved.set(1, 3);
  await reader.loadAhead();
  assert.equal(asked.length, 3, "and not again");
});

test("a room whose first unread message was not loaded ahead is loaded again when it is opened", async () => {
  const { store, reader } = withRooms();
  const room = /** @type {import("../types.js").RoomState} */ (store.rooms.get(4));
  await reader.loadAhead();
  store.open(4);
  assert.equal(room.loaded, true);
  store.open(null);
  Object.assign(room, { read_seq: 0, unread: 3 });
  room.messages.delete(1);
  store.open(4);
  assert.equal(room.loaded, false);
});

test("what is written down of another chat counts for nothing, and a node that is behind is not asked", async () => {
  const { store, reader, asked } = withRooms();
  store.recall("other", new Map([[2, [/** @type {any} */ (message(2, 3))]]]), []);
  reader.behind = true;
  await reader.loadAhead();
  assert.deepEqual(asked, []);
  reader.behind = false;
  await reader.loadAhead();
  assert.deepEqual(asked, [4, 3, 2, 1]);
});
