/**
 * Dialogs: built when asked for, gone when closed, so that nothing on the page has two of a name.
 * Focus goes into them and, when they close, back to where it was.
 */

import { h } from "../dom.js";
import { words } from "../words.js";
import { asking, problemLine, showDialog } from "./controls.js";

let counter = 0;

/**
 * @typedef {object} Dialog
 * @property {HTMLDialogElement} element
 * @property {() => void} close
 * @property {(what: unknown, field?: HTMLElement) => void} complain says what is wrong, at a field when it is one's
 */

/**
 * @param {object} what
 * @param {string} what.heading
 * @param {(Node | string)[]} what.body
 * @param {string} [what.action] the name of the button that does it
 * @param {string} [what.keep] the name of the button that does not
 * @param {boolean} [what.harm]
 * @param {(dialog: Dialog) => Promise<void> | void} [what.act] closes the dialog, complains, or throws a `Refusal`; a dialog
 *   that only tells something has none, and one button
 * @returns {Dialog}
 */
export function openDialog({ heading, body, action = words.ask.close, keep = words.ask.cancel, harm = false, act }) {
  const problem = problemLine();
  const no = act && h("button.button", { onclick: () => element.close() }, keep);
  const yes = h(`button.button.${harm ? "harm" : "main"}`, { type: "submit" }, action);
  const form = asking("form", problem, () => (act ? act(dialog) : element.close()), h("h2", heading), ...body, problem.element, h("div.row.end", no, yes));
  const element = h("dialog.dialog", { "aria-label": heading }, form);
  /** @type {Dialog} */
  const dialog = { element, close: () => element.close(), complain: problem.say };
  showDialog(element);
  const first = form.querySelector("input, textarea");
  if (first instanceof HTMLElement) first.focus();
  else if (harm) no?.focus();
  return dialog;
}

/**
 * A text box under its label.
 * @param {string} label
 * @param {Record<string, any>} [props]
 * @param {string} [hint]
 */
export function field(label, props = {}, hint = "") {
  const id = `field-${++counter}`;
  const input = h("input", { id, type: "text", autocomplete: "off", ...props, ...(hint ? { "aria-describedby": `${id}-hint` } : {}) });
  const element = h(
    "div.field",
    h("label", { htmlFor: id }, label),
    hint && h("p.hint", { id: `${id}-hint` }, hint),
    input,
  );
  return { element, input };
}

/**
 * One of a few, as radio buttons.
 * @param {string} legend
 * @param {string} name
 * @param {{ value: string, label: string, note: string }[]} options the first is chosen
 */
export function choice(legend, name, options) {
  const rows = options.map(({ value, label, note }, index) => {
    const id = `choice-${++counter}`;
    return h(
      "div.choice",
      h("input", { type: "radio", name, value, id, checked: index === 0, "aria-describedby": `${id}-note` }),
      h("div", h("label", { htmlFor: id }, label), h("p.hint", { id: `${id}-note` }, note)),
    );
  });
  const element = h("fieldset", h("legend", legend), ...rows);
  return {
    element,
    get value() {
      const chosen = element.querySelector("input:checked");
      return chosen instanceof HTMLInputElement ? chosen.value : options[0].value;
    },
  };
}
