/** What is told once, a link or a secret, to be copied and given to somebody. */

import { h, on } from "../dom.js";
import { words } from "../words.js";
import { field } from "./dialog.js";

/**
 * @param {string} label what it is
 * @param {string} value
 * @param {string} note how long it is good for, and the like
 * @param {(text: string) => void} announce
 */
export function linkBox(label, value, note, announce) {
  const box = field(label, { readonly: true, value, dir: "ltr" }, note);
  on(box.input, "focus", () => box.input.select());
  const copy = () => {
    box.input.select();
    // Without a clipboard (plain http) it stands selected, ready for the person's own copy.
    void navigator.clipboard?.writeText(value).then(() => announce(words.message.copied), () => undefined);
  };
  return { element: h("div.link-box", box.element, h("button.button.small", { onclick: copy }, words.message.copy)), focus: () => box.input.focus() };
}
