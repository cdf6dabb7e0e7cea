/** What can be completed while one writes: people behind `@`, emoji behind `:`. */

import { best } from "../fuzzy.js";
import { h } from "../dom.js";
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
          look: [avatar(user.name, user.display), h("span.title", { dir: "auto" }, user.display), user.display === user.name ? "" : h("span.hint", user.name)],
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

/**
 * A name that stands before the caret with both its colons, typed or pasted, becomes its emoji.
 * @param {HTMLTextAreaElement} box
 */
export function replaceNamed(box) {
  const { value, selectionStart: caret } = box;
  const match = /(?:^|\s):([a-z0-9_+-]{2,40}):$/.exec(value.slice(Math.max(0, caret - 44), caret));
  if (!match) return;
  const wait = loadEmoji();
  if (wait) {
    void wait.then((came) => came && document.activeElement === box && box.value === value && box.selectionStart === caret && replaceNamed(box));
    return;
  }
  const found = emoji?.emojiNamed(match[1]);
  if (found) insertText(box, found, caret - match[1].length - 2, caret);
}
