/** Draws the page's icons anew from `web-client/icon.svg`: `node icons.mjs`, when that has changed. */

import { readFile, writeFile } from "node:fs/promises";
import { chromium } from "playwright-core";

const folder = new URL("../../web-client/", import.meta.url);
const drawing = (await readFile(new URL("icon.svg", folder), "utf8")).replace("<svg ", '<svg width="72%" ');
const browser = await chromium.launch({ executablePath: process.env.CHAT_BROWSER ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
for (const size of [192, 512]) {
  const page = await browser.newPage({ viewport: { width: size, height: size } });
  // Room around it: systems cut icons to shapes of their own.
  await page.setContent(`<style>body { margin: 0; height: 100vh; display: grid; place-items: center; background: #e2efeb }</style>${drawing}`);
  await writeFile(new URL(`icon-${size}.png`, folder), await page.screenshot());
}
await browser.close();
