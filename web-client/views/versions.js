/** What an edited message said before, each wording with its time, the newest first. */

import { h } from "../dom.js";
import { problemOf } from "../refusal.js";
import { fullTime } from "../time.js";
import { problemWords, words } from "../words.js";
import { openDialog } from "./dialog.js";

/**
 * @typedef {import("../types.js").Version} Version
 *
 * @param {() => Promise<Version[]>} load
 * @param {import("../types.js").Message} message
 */
export async function openVersions(load, message) {
  const text = words.versions;
  const list = h("ol", { class: "versions" });
  const note = h("p", { class: "hint", role: "status" }, words.empty.loading);
  const dialog = openDialog({ heading: text.heading, body: [note, list], action: text.close, act: (open) => open.close() });
  try {
    const versions = await load();
    note.textContent = versions.length > 1 ? text.count(versions.length) : text.none;
    list.replaceChildren(...versions.reverse().map((version, index) => entry(version, index === 0)));
  } catch (error) {
    const problem = problemOf(error);
    note.hidden = true;
    // A server of an earlier version keeps no wordings.
    if (problem.code === "bad_request") {
      list.replaceChildren(entry({ version: message.version, text: message.text, time: message.time }, true));
      dialog.complain(text.notThere);
    } else dialog.complain(problemWords(problem));
  }
}

/**
 * @param {Version} version
 * @param {boolean} current
 */
function entry(version, current) {
  return h(
    "li",
    {},
    h("p", { class: "hint" }, h("time", { datetime: new Date(version.time).toISOString() }, fullTime(version.time)), current ? ` – ${words.versions.current}` : ""),
    h("p", { class: "wording", dir: "auto" }, version.text),
  );
}
