/** What an edited message said before, each wording with its time, the newest first. */

import { auto, h, write } from "../dom.js";
import { fullTime } from "../time.js";
import { words } from "../words.js";
import { timeView } from "./controls.js";
import { openDialog } from "./dialog.js";

/**
 * @typedef {import("../types.js").Version} Version
 *
 * @param {() => Promise<Version[]>} load
 */
export async function openVersions(load) {
  const text = words.versions;
  const list = h("ol.versions");
  const note = h("p.hint", { "aria-live": "polite" }, words.empty.loading);
  const dialog = openDialog({ heading: text.heading, body: [note, list] });
  try {
    const versions = await load();
    write(note, versions.length > 1 ? text.count(versions.length) : text.none);
    list.replaceChildren(...versions.reverse().map((version, index) => entry(version, index === 0)));
  } catch (error) {
    note.hidden = true;
    dialog.complain(error);
  }
}

/**
 * @param {Version} version
 * @param {boolean} current
 */
function entry(version, current) {
  return h(
    "li",
    h("p.hint", timeView(version.time, fullTime(version.time)), current ? ` – ${words.versions.current}` : ""),
    h("p.wording", auto, version.text),
  );
}
