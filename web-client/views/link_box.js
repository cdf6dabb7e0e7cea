/** A link that is told once, to be copied and given to somebody. */

import { h, on } from "../dom.js";
import { fullTime } from "../time.js";
import { settingsWords } from "../settings_words.js";
import { words } from "../words.js";
import { field } from "./dialog.js";

/**
 * @param {string} label what it is
 * @param {string} link
 * @param {number} until Unix milliseconds
 * @param {(text: string) => void} announce
 */
export function linkBox(label, link, until, announce) {
  const text = settingsWords.links;
  const box = field(label, { readonly: true, value: link, dir: "ltr" }, text.until(fullTime(until)));
  on(box.input, "focus", () => box.input.select());
  const copy = h(
    "button.button.small",
    {
      onclick: () => {
        box.input.select();
        // Without a clipboard (plain http) it stands selected, ready for the person's own copy.
        void navigator.clipboard?.writeText(link).then(() => announce(words.message.copied), () => undefined);
      },
    },
    words.message.copyLink,
  );
  return { element: h("div.link-box", box.element, copy), focus: () => box.input.focus() };
}
