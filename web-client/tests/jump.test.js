import assert from "node:assert/strict";
import { test } from "node:test";
import { placeLink, readPlace } from "../jump.js";

test("a place and its address are the same thing", () => {
  assert.deepEqual(readPlace(placeLink(12)), { room: 12, seq: null });
  assert.deepEqual(readPlace(placeLink(12, 34)), { room: 12, seq: 34 });
});

test("an address that names no place is none", () => {
  for (const hash of ["", "#", "#/room/", "#/room/x", "#/room/1/", "#/room/1/2/3", "#/room/-1", `#/room/${"9".repeat(16)}`, "#reset=abc"]) {
    assert.equal(readPlace(hash), null, hash);
  }
});
