/** What no file of the page may do. */

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";

const folder = new URL("../", import.meta.url);

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
