import assert from "node:assert/strict";
import { test } from "node:test";
import { placeLink, placeOf, readPlace } from "../jump.js";

test("a place and its address are the same thing", () => {
  assert.deepEqual(readPlace(placeLink(12)), { room: 12, seq: null });
  assert.deepEqual(readPlace(placeLink(12, 34)), { room: 12, seq: 34 });
});

test("an address that names no place is none", () => {
  for (const hash of ["", "#", "#/room/", "#/room/x", "#/room/1/", "#/room/1/2/3", "#/room/-1", `#/room/${"9".repeat(16)}`, "#reset=abc"]) {
    assert.equal(readPlace(hash), null, hash);
  }
});

test("a link leads to a place of this chat on any of its nodes, and nowhere else", () => {
  const nodes = ["http://node1:8101", "https://chat.example"];
  assert.deepEqual(placeOf("http://node1:8101/#/room/3/700", nodes), { room: 3, seq: 700 });
  assert.deepEqual(placeOf("https://chat.example/#/room/3", nodes), { room: 3, seq: null });
  for (const href of ["http://node1/#/room/3", "http://node1:8101/x#/room/3", "https://chat.example/", "mailto:ann@chat.example"]) {
    assert.equal(placeOf(href, nodes), null, href);
  }
});
