/** A message being edited: its text in a box in its place, until it is saved or left. What was typed is kept on the way. */

import { forget, recall, remember } from "../db.js";
import { fitText, h, on } from "../dom.js";
import { byteLength, tidied } from "../text.js";
import { words } from "../words.js";
import { completion } from "./completion.js";
import { problemLine } from "./controls.js";
import { replaceNamed, sources } from "./sources.js";

/**
 * @typedef {import("../types.js").Message} Message
 *
 * @param {object} context
 * @param {Message} context.message
 * @param {HTMLElement} context.article
 * @param {string} context.draft the key under which the unsaved wording is kept
 * @param {() => number} context.limit in bytes
 * @param {(text: string) => void} context.save
 * @param {() => import("../types.js").User[]} context.people whom one may mention
 * @param {(typed: string) => Promise<unknown> | null} context.morePeople asks for others
 * @param {() => void} context.done
 */
export function editMessage({ message, article, draft, limit, save, people, morePeople, done }) {
  const text = words.message;
  const kept = recall(draft);
  const box = h("textarea", { rows: 1, dir: "auto", "aria-label": text.editBox, value: typeof kept === "string" ? kept : message.text });
  const problem = problemLine();
  const complete = completion(box, sources(people, morePeople));
  const grow = () => fitText(box);
  /** What was typed stays, for when this message is edited again. */
  const leave = () => {
    element.remove();
    article.classList.remove("editing");
  };
  const close = () => {
    forget(draft);
    leave();
    done();
  };
  const finish = () => {
    const said = tidied(box.value);
    const over = byteLength(said) - limit();
    if (over > 0) return problem.say(words.composer.tooLong(over));
    if (said !== "" && said !== message.text) save(said);
    close();
  };
  const element = h(
    "form.editor",
    {
      novalidate: true,
      onsubmit: (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        finish();
      },
    },
    box,
    complete.element,
    problem.element,
    h(
      "div.row",
      h("button.button.main.small", { type: "submit" }, text.save),
      h("button.button.small", { onclick: close }, words.ask.cancel),
      h("span.hint", text.editHint),
    ),
  );
  on(box, "input", (event) => {
    replaceNamed(box, event);
    remember(draft, box.value);
    grow();
  });
  on(box, "keydown", (event) => {
    event.stopPropagation();
    if (event.isComposing || complete.key(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      finish();
    } else if (event.key === "Escape") {
      event.preventDefault();
      close();
    }
  });
  article.classList.add("editing");
  article.after(element);
  grow();
  box.focus();
  box.setSelectionRange(box.value.length, box.value.length);
  element.scrollIntoView({ block: "nearest" });
  return { element, message, leave };
}
