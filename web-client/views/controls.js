/** What many views are made of: buttons with a picture, the line that says what went wrong, forms, ways through a list. */

import { h, on, set, unseen } from "../dom.js";
import { icon } from "../icons.js";
import { problemOf } from "../refusal.js";
import { fullTime } from "../time.js";
import { problemWords } from "../words.js";

let counter = 0;

/**
 * A button that shows a picture and says its name.
 * @param {Parameters<typeof icon>[0]} picture
 * @param {string} label
 * @param {((event: MouseEvent) => void) | null} onclick
 * @param {string} [kind] more classes, each behind a dot
 * @param {import("../dom.js").Props} [props]
 */
export function iconButton(picture, label, onclick, kind = "", props = {}) {
  return h(`button.icon-button${kind}`, { title: label, onclick, ...props }, icon(picture), unseen(label));
}

/**
 * A moment, as it is written here; the whole of it is told when asked for.
 * @param {number} time Unix milliseconds
 * @param {string} said
 * @param {string} [kind] classes, each behind a dot
 */
export const timeView = (time, said, kind = "") => h(`time${kind}`, { datetime: new Date(time).toISOString(), title: fullTime(time) }, said);

/** A line that says what went wrong, and takes it back with the next try. */
export function problemLine() {
  const element = h("p.problem", { id: `problem-${++counter}`, role: "alert", hidden: true });
  /** @type {HTMLElement | null} */
  let wrong = null;
  /** @type {string | null} */
  let hint = null;
  const line = {
    element,
    /**
     * @param {unknown} what a sentence, or what was thrown
     * @param {HTMLElement} [field] the one it is about
     */
    say(what, field) {
      line.clear();
      element.textContent = typeof what === "string" ? what : problemWords(problemOf(what));
      element.hidden = false;
      if (!field) return;
      wrong = field;
      hint = field.getAttribute("aria-describedby");
      set(field, { "aria-invalid": "true", "aria-describedby": element.id });
      field.focus();
    },
    clear() {
      element.hidden = true;
      if (wrong) set(wrong, { "aria-invalid": null, "aria-describedby": hint });
      wrong = null;
    },
    /**
     * Does something, and says why not when it was refused.
     * @param {() => unknown} act
     */
    async attempt(act) {
      line.clear();
      try {
        await act();
      } catch (error) {
        line.say(error);
      }
    },
  };
  return line;
}

/** @typedef {ReturnType<typeof problemLine>} Problem */

/**
 * For a refusal that a view has words of its own for; any other is thrown on.
 * @param {string} codes with spaces between them
 * @param {() => void} say
 */
export const refusedAs = (codes, say) => (/** @type {unknown} */ error) => {
  if (!codes.split(" ").includes(problemOf(error).code)) throw error;
  say();
};

/**
 * @param {Element | null} element
 * @param {boolean} busy
 */
export const busyAt = (element, busy) => element && set(element, { "aria-busy": busy && "true" });

/**
 * A form that does one thing at a time; the button that was pressed is busy meanwhile.
 * @param {string} what its tag and classes
 * @param {Problem} problem
 * @param {(pressed: HTMLElement | null) => unknown} act
 * @param {...import("../dom.js").Child} children
 */
export function asking(what, problem, act, ...children) {
  let busy = false;
  const onsubmit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    busyAt(event.submitter, true);
    await problem.attempt(() => act(event.submitter));
    busyAt(event.submitter, false);
    busy = false;
  };
  return /** @type {HTMLFormElement} */ (h(what, { novalidate: true, onsubmit }, ...children));
}

/**
 * Shows a dialog until it is closed, also by a press beside it; then the focus goes back to where it was.
 * @param {HTMLDialogElement} element
 * @param {Element | null} [back]
 */
export function showDialog(element, back = document.activeElement) {
  on(element, "close", () => {
    element.remove();
    const lost = document.activeElement === document.body || !document.activeElement;
    if (lost && back instanceof HTMLElement && back.isConnected) back.focus({ preventScroll: true });
  });
  on(element, "mousedown", (event) => event.target === element && element.close());
  document.body.append(element);
  element.showModal();
}

/**
 * Arrows go from one element of a list to the next, Home and End to the first and the last.
 * @param {KeyboardEvent} event
 * @param {Element} list
 * @param {string} which of those in it
 */
export function arrows(event, list, which) {
  const elements = /** @type {HTMLElement[]} */ ([...list.querySelectorAll(which)]);
  const at = elements.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const to = { ArrowUp: at - 1, ArrowDown: at + 1, Home: 0, End: elements.length - 1 }[event.key];
  if (at < 0 || to === undefined) return;
  event.preventDefault();
  elements[Math.max(0, Math.min(elements.length - 1, to))].focus();
}

/**
 * Which option of a list is chosen while the focus stays in the box that one types into. Behind the last comes the first.
 * @param {Element} box
 * @param {Element} list
 * @returns {(index: number) => number} chooses, and says which one that is
 */
export function choosing(box, list) {
  return (index) => {
    const options = [...list.children];
    const chosen = options.length > 0 ? (index + options.length) % options.length : 0;
    options.forEach((option, at) => set(option, { "aria-selected": String(at === chosen) }));
    options[chosen]?.scrollIntoView({ block: "nearest" });
    set(box, { "aria-activedescendant": options[chosen]?.id ?? null });
    return chosen;
  };
}

/** A press on an option leaves the focus where it is. @param {Event} event */
export const staying = (event) => event.preventDefault();
