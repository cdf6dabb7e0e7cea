/**
 * Completion in a text box: what begins with a sign such as `@` is looked up while it is typed. The focus stays in the box;
 * arrows choose, Enter or Tab takes, Escape leaves it as typed.
 *
 * @typedef {object} Suggestion
 * @property {string} insert what takes the place of what was typed
 * @property {(Node | string)[]} look
 *
 * @typedef {object} Source
 * @property {string} sign
 * @property {number} least so many characters behind the sign before anything is suggested
 * @property {string} label of the list
 * @property {() => Promise<unknown> | null} [ready] what must be waited for before the first look
 * @property {(typed: string) => Suggestion[]} find
 * @property {(typed: string) => Promise<unknown> | null} [more] what may be found a little later; null when nothing
 */

import { h, on, set } from "../dom.js";
import { choosing, staying } from "./controls.js";

const TOKEN = /(?:^|[\s([{"'>/])([@:])([\p{L}\p{N}_.+-]{0,40})$/u;

let counter = 0;

/**
 * @param {HTMLTextAreaElement} box
 * @param {Source[]} sources
 */
export function completion(box, sources) {
  const id = `completion-${++counter}`;
  const list = h("ul.completion", { role: "listbox", id, hidden: true });
  /** @type {Suggestion[]} */
  let found = [];
  let chosen = 0;
  let from = 0;
  /** Where Escape was pressed: not asked again until another token begins. */
  let dismissed = -1;
  set(box, { "aria-autocomplete": "list", "aria-haspopup": "listbox" });

  const close = () => {
    found = [];
    list.hidden = true;
    set(box, { "aria-controls": null, "aria-activedescendant": null });
  };

  const choose = choosing(box, list);

  const update = () => {
    const { selectionStart: caret, selectionEnd, value } = box;
    const match = caret === selectionEnd ? TOKEN.exec(value.slice(Math.max(0, caret - 60), caret)) : null;
    const source = match && sources.find(({ sign }) => sign === match[1]);
    if (!match || !source) dismissed = -1;
    if (!match || !source || match[2].length < source.least) return close();
    const wait = source.ready?.();
    if (wait) {
      void wait.then((came) => came && document.activeElement === box && update());
      return close();
    }
    from = caret - match[2].length - 1;
    if (from === dismissed) return close();
    found = source.find(match[2]);
    void source.more?.(match[2])?.then(() => document.activeElement === box && update());
    if (found.length === 0) return close();
    list.replaceChildren(
      ...found.map(({ look }, at) =>
        h("li", { role: "option", id: `${id}-${at}`, onmousedown: staying, onclick: () => take(at) }, ...look),
      ),
    );
    list.setAttribute("aria-label", source.label);
    list.hidden = false;
    // As many as fit: none has to be scrolled to, for which the list would have to take the focus.
    while (list.scrollHeight > list.clientHeight && list.children.length > 1) list.lastElementChild?.remove();
    found.length = list.children.length;
    set(box, { "aria-controls": id });
    chosen = choose(0);
  };

  const take = (/** @type {number} */ index) => {
    const { insert } = found[index];
    close();
    insertText(box, `${insert} `, from, box.selectionEnd);
  };

  on(box, "input", update);
  on(box, "click", update);
  on(box, "keyup", (event) => {
    if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(event.key)) update();
  });
  on(box, "blur", close);

  return {
    element: list,
    /**
     * The keys that belong to an open list. To be asked before anything else is done with a key.
     * @param {KeyboardEvent} event
     * @returns {boolean} whether it was one
     */
    key(event) {
      if (list.hidden || event.isComposing) return false;
      // What is written out in full needs no completion: Enter then means what it always means.
      if (event.key === "Enter" && box.value.slice(from, box.selectionEnd).toLowerCase() === found[chosen].insert.toLowerCase()) {
        close();
        return false;
      }
      if (event.key === "ArrowDown") chosen = choose(chosen + 1);
      else if (event.key === "ArrowUp") chosen = choose(chosen - 1);
      else if ((event.key === "Enter" || event.key === "Tab") && !event.shiftKey) take(chosen);
      else if (event.key === "Escape") {
        dismissed = from;
        close();
      } else return false;
      event.preventDefault();
      event.stopPropagation();
      return true;
    },
  };
}

/**
 * Puts text into a box in place of a part of it, so that the browser can undo it.
 * @param {HTMLTextAreaElement} box
 * @param {string} text
 * @param {number} [from]
 * @param {number} [to]
 */
export function insertText(box, text, from = box.selectionStart, to = box.selectionEnd) {
  box.focus();
  box.setSelectionRange(from, to);
  // Old, but the only way that keeps the undo history; it fires `input` itself.
  if (document.execCommand("insertText", false, text)) return;
  box.setRangeText(text, from, to, "end");
  box.dispatchEvent(new Event("input", { bubbles: true }));
}
