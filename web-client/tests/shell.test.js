/** The service worker's list is written by hand: this keeps it complete. */

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";

const folder = new URL("../", import.meta.url);

test("the service worker keeps every file that the page is made of", async () => {
  const worker = await readFile(new URL("sw.js", folder), "utf8");
  const list = /const SHELL = \[([^\]]*)\]/.exec(worker)?.[1] ?? "";
  const kept = [...list.matchAll(/"([^"]+)"/g)].map((match) => match[1]).sort();
  const views = (await readdir(new URL("views/", folder))).map((name) => `/views/${name}`);
  const files = (await readdir(folder)).filter((name) => /\.(js|css|svg)$/.test(name)).map((name) => `/${name}`);
  // Types are for the checker; the worker itself is the browser's to keep.
  const page = ["/", ...files, ...views].filter((path) => path !== "/types.js" && path !== "/sw.js").sort();
  assert.deepEqual(kept, page);
});

test("nothing in the page can make markup, scripts or styles out of text", async () => {
  const views = (await readdir(new URL("views/", folder))).map((name) => `views/${name}`);
  const files = [...(await readdir(folder)).filter((name) => name.endsWith(".js")), ...views];
  for (const file of files) {
    const source = await readFile(new URL(file, folder), "utf8");
    assert.doesNotMatch(source, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setAttribute\("style"/, file);
  }
  const html = await readFile(new URL("index.html", folder), "utf8");
  assert.doesNotMatch(html, / on[a-z]+=| style=|<style|<script(?![^>]* src=)/);
});
