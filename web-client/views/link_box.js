/** What is told once, a link or a secret, to be copied and given to somebody. */

import { h, on } from "../dom.js";
import { field } from "./dialog.js";
import { copyButton } from "./dialogs.js";

/**
 * @param {HTMLElement} place where it is shown, instead of what was told before
 * @param {string} label what it is
 * @param {string} value
 * @param {string} note how long it is good for, and the like
 */
export function showLink(place, label, value, note) {
  const box = field(label, { readonly: true, value, dir: "ltr" }, note);
  on(box.input, "focus", () => box.input.select());
  place.replaceChildren(h("div.link-box", box.element, copyButton(value)));
  box.input.focus();
}
