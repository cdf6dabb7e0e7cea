/** How the page is on this device. */

import { h } from "../dom.js";
import { words } from "../words.js";

/**
 * @param {import("./settings.js").Context} _context
 * @returns {import("./settings.js").Section}
 */
export function preferencesView(_context) {
  return { element: h("div", { class: "settings-body" }, h("p", { class: "hint" }, words.settings.tabs.preferences)) };
}
