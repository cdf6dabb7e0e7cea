import assert from "node:assert/strict";
import { test } from "node:test";
import { readFrame, readWelcome } from "../frames.js";
import { conversation } from "../pending.js";
import { Store } from "../store.js";
import { statusText } from "../views/status.js";

const user = { name: "ann", display: "Ann", role: "member" };
const room = { room: 7, name: "general", kind: "public", member: true, last_seq: 3, read_seq: 3, unread: 0, at: 5 };
const hello = (more = {}) => readWelcome({ user, node: "node1", cursor: 50, epoch: "e", resumed: false, rooms: [room], nodes: [], ...more });
const event = (/** @type {any} */ frame) => {
  const read = readFrame(JSON.stringify(frame));
  assert.ok(read && "event" in read);
  return read.event;
};
const said = (/** @type {number} */ at, /** @type {number} */ seq, more = {}) =>
  event({ ev: "message", at, room: 7, seq, id: `m${seq}`, from: "bob", text: "hi", time: 1, version: 1, ...more });

function connected() {
  const store = new Store();
  store.welcome(hello());
  return store;
}

test("the cursor follows events, never replies", () => {
  const store = connected();
  assert.equal(store.cursor, 50);
  store.apply(said(60, 4));
  store.apply(said(55, 3));
  store.apply(event({ ev: "cursor", at: 70 }));
  assert.equal(store.cursor, 70);
});

test("a connection that resumed keeps what is held; one that did not drops it, but not the outbox", () => {
  const store = connected();
  store.apply(said(60, 4));
  store.setOutbox([/** @type {any} */ ({ id: "w", room: 7, op: "send", fields: { text: "x" }, state: "waiting" })]);
  store.welcome(hello({ resumed: true, cursor: 60 }));
  assert.equal(store.rooms.get(7)?.messages.size, 1);
  store.welcome(hello({ epoch: "other", cursor: 9 }));
  assert.equal(store.rooms.get(7)?.messages.size, 0);
  assert.equal(store.cursor, 9);
  assert.equal(store.waiting, 1);
});

test("a message may come before its room's own event", () => {
  const store = connected();
  store.apply(said(61, 1, { room: 8 }));
  store.apply(event({ ev: "room", at: 62, room: 8, name: "new", kind: "private", member: true, last_seq: 1 }));
  assert.equal(store.rooms.get(8)?.unread, 1);
  assert.equal(store.rooms.get(8)?.messages.size, 1);
});

test("a room one is no longer in is forgotten, and its place stays open", () => {
  const store = connected();
  store.open(7);
  store.apply(event({ ev: "room", at: 63, room: 7, kind: "public", member: false, last_seq: 3 }));
  assert.equal(store.rooms.has(7), false);
  assert.equal(store.current, 7);
  store.apply(event({ ev: "room", at: 64, room: 7, kind: "public", member: true, last_seq: 3 }));
  assert.equal(store.rooms.has(7), true);
});

test("an acknowledged message is shown without its event, and not twice with it", () => {
  const store = connected();
  const item = /** @type {any} */ ({ id: "w", user: "ann", room: 7, op: "send", fields: { text: "x" }, time: 1, state: "waiting" });
  store.acknowledge(item, { re: "w", ok: true, seq: 4, at: 60, time: 2 });
  assert.equal(store.rooms.get(7)?.messages.get(4)?.text, "x");
  store.apply(said(60, 4, { id: "w", from: "ann", text: "x" }));
  assert.equal(store.rooms.get(7)?.messages.size, 1);
  // With a message between that has not come yet, it waits beside the others.
  store.acknowledge({ ...item, id: "v" }, { re: "v", ok: true, seq: 6, at: 62, time: 2 });
  assert.equal(store.acknowledged.length, 1);
  store.apply(said(61, 5));
  store.apply(said(62, 6, { id: "v", from: "ann", text: "x" }));
  assert.equal(store.acknowledged.length, 0);
});

test("what comes while the end is read stands there, and what one sent is shown all the while", () => {
  const store = connected();
  const item = /** @type {any} */ ({ id: "w", user: "ann", room: 7, op: "send", fields: { text: "mine" }, time: 1, state: "waiting" });
  const room = /** @type {import("../types.js").RoomState} */ (store.rooms.get(7));
  const texts = () => conversation(room, [], store.acknowledged, "ann").map(({ message }) => message.text);
  const page = (/** @type {number[]} */ seqs) => seqs.map((seq) => /** @type {any} */ (said(50 + seq, seq)));
  // One reads further up, and the newest page was asked for before this was sent.
  store.history(7, page([1]), "around", 1);
  store.acknowledge(item, { re: "w", ok: true, seq: 4, at: 60, time: 2 });
  store.apply(said(60, 4, { id: "w", from: "ann", text: "mine" }));
  assert.equal(texts().at(-1), "mine");
  store.history(7, page([1, 2, 3]), "newest");
  assert.equal(texts().at(-1), "mine");
  assert.equal(room.anchor, 3, "what is missing behind it is still to be loaded");
  store.history(7, [/** @type {any} */ (said(60, 4, { id: "w", from: "ann", text: "mine" }))], "newer");
  assert.deepEqual([room.anchor, store.acknowledged.length, texts().at(-1)], [null, 0, "mine"]);
});

test("who comes and goes is told to those who look at that room", () => {
  const store = connected();
  const told = /** @type {string[]} */ ([]);
  for (const topic of ["members:7", "members:8"]) store.on(topic, () => told.push(topic));
  store.apply(event({ ev: "member", at: 64, room: 7, user: "bob", member: true }));
  assert.deepEqual(told, ["members:7"]);
});

test("the name of a deleted account shows as deleted", () => {
  const store = connected();
  store.apply(event({ ev: "user", at: 64, name: "bob", display: "deleted", role: "member", deleted: true }));
  assert.equal(store.display("bob"), "deleted account");
});

test("a direct conversation is named after the others", () => {
  const store = connected();
  store.setUsers([{ name: "bob", display: "Bob B.", role: "member", deleted: false }]);
  assert.equal(store.title({ kind: "direct", name: "", users: ["ann", "bob", "cy"] }), "Bob B., cy");
  assert.equal(store.title({ kind: "public", name: "general", users: [] }), "general");
});

test("who is online is not said for long by a page without a server, and anew once there is one", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const store = connected();
  store.setStatus({ phase: "connected" });
  assert.equal(store.isOnline("bob"), false, "nobody said so");
  store.apply(event({ ev: "presence", user: "bob", online: true }));
  assert.equal(store.isOnline("bob"), true);
  let told = 0;
  store.on("users", () => (told += 1));

  // A failover takes less.
  store.setStatus({ phase: "lost" });
  context.mock.timers.tick(2900);
  assert.deepEqual([store.isOnline("bob"), told], [true, 0]);
  store.setStatus({ phase: "connected" });
  context.mock.timers.tick(60_000);
  assert.deepEqual([store.isOnline("bob"), told], [true, 0]);

  store.setStatus({ phase: "lost" });
  context.mock.timers.tick(1500);
  store.setStatus({ phase: "lost" });
  context.mock.timers.tick(1500);
  assert.deepEqual([store.isOnline("bob"), told], [false, 1], "counted from the loss, and those who show it are told");
  store.setStatus({ phase: "connected" });
  assert.deepEqual([store.isOnline("bob"), told], [true, 2]);
  store.apply(event({ ev: "presence", user: "bob", online: false }));
  assert.equal(store.isOnline("bob"), false);
});

test("somebody types until they have not for a while, until they have written, or until nobody can know", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const store = connected();
  const types = (/** @type {string} */ user) => store.apply(event({ ev: "typing", room: 7, user }));
  let told = /** @type {string[][]} */ ([]);
  store.on("typing:7", () => told.push(store.typingIn(7)));
  types("ann");
  types("bob");
  context.mock.timers.tick(3000);
  types("cy");
  types("bob");
  assert.deepEqual(told, [["bob"], ["bob", "cy"], ["bob", "cy"]], "of oneself nothing is said");
  context.mock.timers.tick(4000);
  assert.deepEqual(store.typingIn(7), ["bob", "cy"]);
  told = [];
  context.mock.timers.tick(1100);
  assert.deepEqual(told.at(-1), [], "it ends by itself, and those who show it are told");

  types("bob");
  types("cy");
  store.apply(said(60, 4));
  assert.deepEqual(told.at(-1), ["cy"], "what was typed is there");
  store.setStatus({ phase: "lost" });
  assert.deepEqual(told.at(-1), [], "and whoever types now may stop unheard");
});

test("the status says in words how things stand", () => {
  const status = { phase: /** @type {const} */ ("connected"), node: "node2", quorum: true };
  assert.equal(statusText(status, 0), "Connected to node2");
  assert.equal(statusText({ ...status, phase: "lost" }, 3), "Reconnecting…");
  assert.equal(statusText({ ...status, quorum: false }, 2), "No majority: reading only; 2 messages waiting");
});

test("what is no frame of ours is passed over", () => {
  for (const data of ["", "[]", "null", "{", '{"ev":"new-kind","at":3}', '{"ev":"message"}', new Blob([])]) assert.equal(readFrame(data), null);
});
