/** How the page is on this device. */

import { h } from "../dom.js";
import { LANGUAGES, chooseLanguage, chosen } from "../language.js";
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
  return { element: h("div", { class: "settings-body" }, h("div", { class: "field" }, h("label", { htmlFor: "language" }, text.language), language)) };
}
