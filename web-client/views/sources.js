/** What can be completed while one writes: people behind `@`, emoji behind `:`. */

import { best } from "../fuzzy.js";
import { auto, h } from "../dom.js";
import { words } from "../words.js";
import { avatar } from "./avatar.js";
import { insertText } from "./completion.js";

const SHOWN = 8;

/** Loaded with the first colon. @type {typeof import("../emoji.js") | null} */
let emoji = null;
/** @type {Promise<unknown> | null} */
let loading = null;

function loadEmoji() {
  if (emoji) return null;
  loading ??= import("../emoji.js").then(
    (module) => (emoji = module),
    // With the next colon.
    () => (loading = null),
  );
  return loading;
}

/**
 * @typedef {import("../types.js").User} User
 *
 * @param {() => User[]} people those who come first first
 * @param {(typed: string) => Promise<unknown> | null} more asks for people who are not known yet
 * @returns {import("./completion.js").Source[]}
 */
export function sources(people, more) {
  return [
    {
      sign: "@",
      least: 0,
      label: words.complete.people,
      more,
      find: (typed) =>
        best(typed, people(), (user) => [user.name, user.display], SHOWN).map((user) => ({
          insert: `@${user.name}`,
          look: [avatar(user.name, user.display), h("span.title", auto, user.display), user.display === user.name ? "" : h("span.hint", user.name)],
        })),
    },
    {
      sign: ":",
      least: 2,
      label: words.emoji.label,
      ready: loadEmoji,
      find: (typed) =>
        (emoji?.findEmoji(typed, SHOWN) ?? []).map((one) => ({
          insert: one.emoji,
          look: [h("span.emoji", one.emoji), h("span.title", emoji?.spoken(one.name) ?? "")],
        })),
    },
  ];
}

const NAMED = /(?<=^|\s):[a-z0-9_+-]{2,40}:/;
const LAST = /(?<=^|\s):[a-z0-9_+-]{2,40}:$/;

/**
 * The name that stands before the caret with both its colons becomes its emoji; when text was pasted, each that does.
 * @param {HTMLTextAreaElement} box
 * @param {Event} event
 */
export function replaceNamed(box, event) {
  const { value, selectionStart: caret } = box;
  const typed = value.slice(0, caret);
  const pasted = /** @type {InputEvent} */ (event).inputType === "insertFromPaste";
  const from = typed.search(pasted ? NAMED : LAST);
  if (from < 0) return;
  const wait = loadEmoji();
  if (wait) {
    void wait.then((came) => came && document.activeElement === box && box.value === value && box.selectionStart === caret && replaceNamed(box, event));
    return;
  }
  // What stands before it says whether it is code.
  const begin = pasted ? 0 : from;
  const said = emoji?.withEmoji(typed.slice(begin));
  if (said && said !== typed.slice(begin)) insertText(box, said, begin, caret);
}
