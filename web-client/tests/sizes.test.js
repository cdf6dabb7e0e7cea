import assert from "node:assert/strict";
import { test } from "node:test";
import { size } from "../sizes.js";

test("sizes are short and in the reader's own way", () => {
  assert.deepEqual([0, 1, 999, 1000, 1536, 99_950, 25e6, 1e9, 3e12].map((bytes) => size(bytes, "en")), ["0 bytes", "1 byte", "999 bytes", "1 kB", "1.5 kB", "100 kB", "25 MB", "1 GB", "3 TB"]);
  assert.equal(size(1536, "de"), "1,5 kB");
});
