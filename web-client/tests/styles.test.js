/** What no style of the page may do. */

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { test } from "node:test";

const folder = new URL("../", import.meta.url);
const CALM = "@media (prefers-reduced-motion: no-preference)";

/**
 * The declarations of a sheet, each with the rules it stands in.
 * @param {string} sheet
 */
function declarations(sheet) {
  const found = [];
  /** @type {string[]} */
  const around = [];
  for (const [, text, sign] of sheet.replace(/\/\*.*?\*\//gs, "").matchAll(/([^{};]*)([{};])/g)) {
    if (sign === "{") around.push(text.trim());
    else if (text.trim() !== "") found.push({ said: text.trim(), around: [...around] });
    if (sign === "}") around.pop();
  }
  assert.deepEqual(around, [], "as many braces close as open");
  return found;
}

test("nothing moves for who wants nothing to move", async () => {
  const sheets = (await readdir(folder)).filter((name) => name.endsWith(".css"));
  const moving = [];
  for (const file of sheets) {
    for (const { said, around } of declarations(await readFile(new URL(file, folder), "utf8"))) {
      if (!/^(animation|transition|scroll-behavior)\b/.test(said)) continue;
      moving.push(said);
      assert.ok(around.includes(CALM), `${file}: ${around.join(" ")}: ${said}`);
    }
  }
  assert.notDeepEqual(moving, [], "some things do");
  const views = (await readdir(new URL("views/", folder))).map((name) => `views/${name}`);
  for (const file of [...(await readdir(folder)).filter((name) => name.endsWith(".js")), ...views]) {
    assert.doesNotMatch(await readFile(new URL(file, folder), "utf8"), /\.animate\(|"smooth"/, file);
  }
});
