import assert from "node:assert/strict";
import { test } from "node:test";
import { afterClose, choose, nodeOrigin, pause, socketUrl } from "../backoff.js";

test("the first pause is a random half second, the later ones double up to 15 s", () => {
  assert.equal(pause(0, () => 0), 0);
  assert.ok(pause(0, () => 0.999) <= 500);
  for (const [failures, least, most] of [[1, 500, 1000], [2, 1000, 2000], [3, 2000, 4000], [5, 7500, 15_000], [40, 7500, 15_000]]) {
    assert.equal(pause(failures, () => 0), least);
    assert.equal(pause(failures, () => 1), most);
  }
});

test("a node that failed in this round is left out, one called down comes last", () => {
  const nodes = ["a", "b", "c"];
  const none = new Set();
  assert.equal(choose(nodes, none, none, () => 0.99), "c");
  assert.equal(choose(nodes, new Set(["a", "c"]), none, () => 0), "b");
  assert.equal(choose(nodes, new Set(["a"]), new Set(["b"]), () => 0), "c");
  assert.equal(choose(nodes, new Set(["a", "c"]), new Set(["b"]), () => 0), "b", "better one that is down than none");
  assert.equal(choose(nodes, new Set(nodes), none, () => 0), null);
});

test("close codes say whether to come back", () => {
  for (const code of [1000, 1001, 1006, 1011, 1012, 4000, 4001, 4008, 4499]) assert.equal(afterClose(code), "elsewhere", String(code));
  for (const code of [1009, 4500, 4501]) assert.equal(afterClose(code), "stop", String(code));
  assert.equal(afterClose(4503), "logged out");
});

test("nodes are compared by origin, and only http and https are nodes", () => {
  assert.equal(nodeOrigin("http://127.0.0.1:8101/"), "http://127.0.0.1:8101");
  assert.equal(nodeOrigin("javascript:alert(1)"), null);
  assert.equal(nodeOrigin("nonsense"), null);
  assert.equal(socketUrl("https://chat.example"), "wss://chat.example/ws");
  assert.equal(socketUrl("http://127.0.0.1:8101"), "ws://127.0.0.1:8101/ws");
});
