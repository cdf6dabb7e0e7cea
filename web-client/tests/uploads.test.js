/** Uploads against nodes that fail: each takes what a real one would, and loses what it is told to lose. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, test } from "node:test";
import { PIECE, Uploads } from "../uploads.js";

const realFetch = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = realFetch;
});

/** Nodes by their URLs. `fails` is asked before each request; what it throws or returns is the answer. */
function nodes() {
  /** @type {Map<string, Map<string, Buffer>>} */
  const uploads = new Map();
  const log = /** @type {string[]} */ ([]);
  const state = { url: "http://a", log, fails: /** @type {(line: string) => Response | void} */ (() => undefined) };
  const hash = (/** @type {Buffer} */ bytes) => ({ file: createHash("sha256").update(bytes).digest("hex") });
  globalThis.fetch = /** @type {any} */ (
    async (/** @type {string} */ url, /** @type {any} */ { method, body, headers }) => {
      const { origin, pathname, searchParams } = new URL(url);
      assert.equal(headers.authorization, "Bearer secret");
      const bytes = body ? Buffer.from(await body.arrayBuffer()) : Buffer.alloc(0);
      const line = `${method} ${origin}${pathname} ${headers["Upload-Offset"] ?? ""}`.trim();
      log.push(line);
      const failed = state.fails(line);
      if (failed) return failed;
      const here = uploads.get(origin) ?? new Map();
      uploads.set(origin, here);
      if (method === "POST" && pathname === "/api/v1/files") return Response.json(hash(bytes));
      if (method === "POST") {
        const id = `${searchParams.get("bytes")}`;
        here.set(id, Buffer.alloc(0));
        return Response.json({ upload: id, offset: 0 });
      }
      const id = pathname.split("/").at(-1) ?? "";
      const had = here.get(id);
      if (!had) return refuse(404, "not_found", false);
      if (method === "PATCH") {
        assert.equal(Number(headers["Upload-Offset"]), had.length);
        here.set(id, Buffer.concat([had, bytes]));
      }
      const now = here.get(id) ?? had;
      return Response.json(now.length === Number(id) ? hash(now) : { offset: now.length });
    }
  );
  return state;
}

const refuse = (/** @type {number} */ status, /** @type {string} */ code, /** @type {boolean} */ retry) => Response.json({ error: { code, message: "", retry } }, { status });
const made = (/** @type {number} */ bytes) => new File([Buffer.alloc(bytes, "abc")], "a name.bin");
const hashOf = async (/** @type {File} */ file) => createHash("sha256").update(Buffer.from(await file.arrayBuffer())).digest("hex");
const begin = (/** @type {ReturnType<typeof nodes>} */ state) => new Uploads({ url: () => state.url, token: () => "secret" });

test("a small file goes at once, a large one in pieces with its progress", async () => {
  const state = nodes();
  const uploads = begin(state);
  const [small, large] = [made(10), made(2 * PIECE + 5)];
  const [one, other] = [uploads.add(small), uploads.add(large)];
  /** @type {number[]} */
  const seen = [];
  uploads.addEventListener("change", () => seen.push(uploads.state(other.id)?.sent ?? -1));
  assert.equal(await uploads.finished(one), await hashOf(small));
  assert.equal(await uploads.finished(other), await hashOf(large));
  const id = large.size;
  assert.deepEqual(state.log, [
    "POST http://a/api/v1/files",
    "POST http://a/api/v1/uploads",
    `PATCH http://a/api/v1/uploads/${id} 0`,
    `PATCH http://a/api/v1/uploads/${id} ${PIECE}`,
    `PATCH http://a/api/v1/uploads/${id} ${2 * PIECE}`,
  ]);
  assert.ok(seen.includes(PIECE) && seen.includes(2 * PIECE), String(seen));
  assert.equal(uploads.state(other.id)?.sent, large.size);
});

test("a lost piece is asked after and sent again, and only that one", async () => {
  const state = nodes();
  const uploads = begin(state);
  const file = made(3 * PIECE);
  let lost = false;
  state.fails = (line) => {
    if (lost || !line.startsWith("PATCH") || !line.endsWith(` ${PIECE}`)) return;
    lost = true;
    throw new TypeError("connection reset");
  };
  assert.equal(await uploads.finished(uploads.add(file)), await hashOf(file));
  assert.deepEqual(state.log.map((line) => line.split(" ")[0]), ["POST", "PATCH", "PATCH", "GET", "PATCH", "PATCH"]);
});

test("when its node is gone, an upload begins anew at the next one", async () => {
  const state = nodes();
  const uploads = begin(state);
  const file = made(2 * PIECE);
  state.fails = (line) => {
    if (!line.startsWith("PATCH http://a") || !line.endsWith(` ${PIECE}`)) return;
    state.url = "http://b";
    throw new TypeError("connection refused");
  };
  assert.equal(await uploads.finished(uploads.add(file)), await hashOf(file));
  assert.deepEqual(state.log.filter((line) => line.includes("//b")).map((line) => line.split(" ")[0]), ["POST", "PATCH", "PATCH"]);
});

test("what a node refuses for good is told, and can be tried again", async () => {
  const state = nodes();
  const uploads = begin(state);
  const local = uploads.add(made(10));
  state.fails = () => refuse(413, "too_large", false);
  await assert.rejects(uploads.finished(local), /too_large/);
  assert.equal(uploads.state(local.id)?.problem?.code, "too_large");
  state.fails = () => undefined;
  assert.match(await uploads.finished(local), /^[0-9a-f]{64}$/);
  assert.equal(uploads.state(local.id)?.problem, null);
});

test("a file that no node knows any more is sent again, and one that was let go is not", async () => {
  const state = nodes();
  const uploads = begin(state);
  const local = uploads.add(made(10));
  await uploads.finished(local);
  await uploads.finished(local);
  assert.equal(state.log.length, 1);
  uploads.again([local]);
  await uploads.finished(local);
  assert.equal(state.log.length, 2);
  uploads.forget([local]);
  await assert.rejects(uploads.finished(local), /not_found/);
});

test("while there is no room it goes on trying, and says why", async () => {
  const state = nodes();
  const uploads = begin(state);
  const seen = /** @type {Set<string | undefined>} */ (new Set());
  uploads.addEventListener("change", () => seen.add(uploads.state(local.id)?.problem?.code));
  let times = 0;
  state.fails = () => (++times === 1 ? refuse(503, "unavailable", true) : undefined);
  const local = uploads.add(made(10));
  assert.match(await uploads.finished(local), /^[0-9a-f]{64}$/);
  assert.ok(seen.has("unavailable"));
  assert.equal(uploads.state(local.id)?.problem, null);
});

test("what cannot be read is given up, not tried for ever", async () => {
  const state = nodes();
  const uploads = begin(state);
  const folder = made(0);
  folder.slice = () => /** @type {any} */ ({ arrayBuffer: () => Promise.reject(new DOMException("gone", "NotFoundError")) });
  const local = uploads.add(folder);
  await assert.rejects(uploads.finished(local), /not_found/);
  assert.deepEqual(state.log, []);
});
