/** What a browser wants before it installs the page as a program of its own. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const folder = new URL("../", import.meta.url);
const PNG_HEAD = "\x89PNG\r\n\x1a\n";

test("the manifest names what is there: the page, and icons of the sizes it says", async () => {
  const html = await readFile(new URL("index.html", folder), "utf8");
  const manifest = JSON.parse(await readFile(new URL("manifest.webmanifest", folder), "utf8"));
  assert.match(html, /<link rel="manifest" href="\/manifest\.webmanifest">/);
  assert.deepEqual([manifest.start_url, manifest.scope, manifest.display], ["/", "/", "standalone"]);
  assert.ok(manifest.name && manifest.short_name);
  const sizes = [];
  for (const { src, type, sizes: said, purpose = "any" } of manifest.icons) {
    const bytes = await readFile(new URL(`.${src}`, folder));
    if (type !== "image/png") continue;
    assert.equal(bytes.toString("latin1", 0, PNG_HEAD.length), PNG_HEAD, src);
    assert.equal(said, `${bytes.readUInt32BE(16)}x${bytes.readUInt32BE(20)}`, src);
    sizes.push(`${said} ${purpose}`);
  }
  for (const wanted of ["192x192 any", "512x512 any", "512x512 maskable"]) assert.ok(sizes.includes(wanted), wanted);
});
