/** What a checker of the accessibility rules finds in the page as it stands, and whether all of it fits. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

/** @typedef {import("playwright-core").Page} Page */

const checker = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
/** All that depends on the colours. */
const CONTRAST = ["color-contrast"];

/**
 * Checks what is shown by every rule in light colours, and its contrasts in dark ones.
 * @param {Page} page
 * @param {string} state
 */
export async function check(page, state) {
  await obeys(page, RULES, state);
  await page.emulateMedia({ colorScheme: "dark" });
  await obeys(page, CONTRAST, `${state}, dark`);
  await page.emulateMedia({ colorScheme: "light" });
}

/**
 * @param {Page} page
 * @param {string[]} rules
 * @param {string} state
 */
export async function obeys(page, rules, state) {
  // A fade on its way has colours of its own, and begins when a message comes into view or under the pointer: so none
  // does, but for those that are on their way.
  await page.emulateMedia({ reducedMotion: "reduce" });
  await page.evaluate(() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => undefined))));
  if (!(await page.evaluate(() => "axe" in globalThis))) await page.evaluate(checker);
  const found = await page.evaluate(
    async (runOnly) => {
      const { violations } = await /** @type {any} */ (globalThis).axe.run(document, { runOnly, resultTypes: ["violations"] });
      return violations.flatMap((/** @type {any} */ one) => one.nodes.map((/** @type {any} */ node) => `${one.id}: ${one.help}: ${node.html.slice(0, 200)}: ${node.failureSummary}`));
    },
    rules,
  );
  assert.deepEqual(found, [], state);
}

/** Nothing is wider than the page. @param {Page} page */
export async function fits(page) {
  const [wide, page_] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= page_, `${wide} px wide, in a page of ${page_}`);
}

/**
 * Checks a state at each width, and leaves the page wide.
 * @param {Page} page
 * @param {string} state
 * @param {() => Promise<void>} shown waits for what makes the state
 * @param {number[]} [widths]
 */
export async function everywhere(page, state, shown, widths = [320, 760, 1200]) {
  for (const width of widths) {
    await page.setViewportSize({ width, height: 640 });
    await shown();
    await check(page, `${state}: ${width} px`);
    await fits(page);
  }
}
