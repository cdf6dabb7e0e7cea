import assert from "node:assert/strict";
import { test } from "node:test";
import { readLink, whyNot } from "../links.js";

test("a link is one of three kinds with a token", () => {
  assert.deepEqual(readLink("#invite=Ab-9_x"), { kind: "invite", token: "Ab-9_x" });
  assert.deepEqual(readLink("#reset=a"), { kind: "reset", token: "a" });
  for (const hash of ["", "#invite=", "#other=a", "#/room/1", "#invite=a b", `#reset=${"a".repeat(201)}`]) assert.equal(readLink(hash), null, hash);
});

test("why a link does not work is read from the server's sentence", () => {
  assert.equal(whyNot("this link was used already: ask for another").why, "used");
  assert.equal(whyNot("this link has expired: ask for another").why, "expired");
  assert.deepEqual(whyNot("this link creates the account ann and no other"), { why: "name", name: "ann" });
  assert.equal(whyNot("something else").why, "wrong");
});
