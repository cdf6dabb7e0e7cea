/** How the page is on this device. */

import { h, write } from "../dom.js";
import { LANGUAGES, chooseLanguage, chosen } from "../language.js";
import { noticesState, wantNotices } from "../notices.js";
import { settingsWords } from "../settings_words.js";

/** @returns {import("./settings.js").Section} */
export function preferencesView() {
  const text = settingsWords.preferences;
  const language = h(
    "select",
    { id: "language", onchange: () => chooseLanguage(language.value || null) },
    h("option", { value: "" }, text.browser),
    // Each language names itself, so that one who cannot read the others finds it.
    ...Object.entries(LANGUAGES).map(([code, name]) => h("option", { value: code, lang: code }, name)),
  );
  language.value = chosen ?? "";
  const state = h("p.hint", { "aria-live": "polite" });
  const button = h("button.button", { onclick: async () => show(await wantNotices(noticesState() !== "on")) });
  const show = (/** @type {ReturnType<typeof noticesState>} */ now) => {
    write(state, text.notices[now]);
    button.hidden = now === "none" || now === "blocked";
    write(button, now === "on" ? text.noticesOff : text.noticesOn);
  };
  show(noticesState());
  return {
    element: h(
      "div.settings-body",
      h("div.field", h("label", { htmlFor: "language" }, text.language), language),
      h("section.field", { "aria-labelledby": "notices-heading" }, h("h3", { id: "notices-heading" }, text.noticesHeading), state, h("div", button)),
    ),
  };
}
