/** What is told once, a link or a secret, to be copied and given to somebody. */

import { h, on } from "../dom.js";
import { field } from "./dialog.js";
import { copyButton } from "./dialogs.js";

/**
 * @param {string} label what it is
 * @param {string} value
 * @param {string} note how long it is good for, and the like
 */
export function linkBox(label, value, note) {
  const box = field(label, { readonly: true, value, dir: "ltr" }, note);
  on(box.input, "focus", () => box.input.select());
  return { element: h("div.link-box", box.element, copyButton(value)), focus: () => box.input.focus() };
}
