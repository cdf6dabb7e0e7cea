/** The connection, against sockets that do what the test says. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Connection } from "../socket.js";

/** @type {FakeSocket[]} */
let sockets = [];
class FakeSocket {
  /** @type {(() => void) | null} */
  onopen = null;
  /** @type {((event: { data: string }) => void) | null} */
  onmessage = null;
  /** @type {((event: { code: number }) => void) | null} */
  onclose = null;
  /** @type {any[]} */
  sent = [];
  constructor() {
    sockets.push(this);
  }
  send(/** @type {string} */ frame) {
    this.sent.push(JSON.parse(frame));
  }
  close() {}
  fail() {
    this.onclose?.({ code: 1006 });
  }
  welcome() {
    this.onopen?.();
    this.onmessage?.({ data: JSON.stringify({ re: this.sent[0].id, ok: true, user: { name: "ann" }, node: "node1", nodes: ["http://a", "http://b"] }) });
  }
}
Object.defineProperty(globalThis, "WebSocket", { value: FakeSocket, configurable: true });

function connection() {
  sockets = [];
  const told = /** @type {string[]} */ ([]);
  const tell = (/** @type {string} */ what) => () => void told.push(what);
  const made = new Connection({ welcome: tell("welcome"), event: () => {}, lost: tell("lost"), ended: tell("ended") }, "http://a", ["http://b"]);
  return { made, told };
}

test("a pause that a probe ended early does not end again", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  const { made, told } = connection();
  made.open(() => ({ op: "hello", token: "t" }));
  sockets[0].fail();
  made.probe();
  sockets[1].welcome();
  assert.equal(told.at(-1), "welcome");
  t.mock.timers.tick(30_000);
  assert.equal(sockets.length, 2, "no further node is tried from a living connection");
  made.close();
});

test("a connection that was closed stays so, and says nothing any more", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  const { made, told } = connection();
  made.open(() => ({ op: "hello", token: "t" }));
  sockets[0].fail();
  made.probe();
  made.close();
  const before = told.length;
  for (const socket of sockets) socket.fail();
  made.moveTo("http://b");
  made.probe();
  t.mock.timers.tick(30_000);
  assert.deepEqual([sockets.length, told.length], [2, before]);
});
