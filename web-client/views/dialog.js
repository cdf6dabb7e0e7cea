/**
 * Dialogs: built when asked for, gone when closed, so that nothing on the page has two of a name.
 * Focus goes into them and, when they close, back to where it was.
 */

import { h } from "../dom.js";
import { words } from "../words.js";

let counter = 0;

/**
 * @typedef {object} Dialog
 * @property {HTMLDialogElement} element
 * @property {() => void} close
 * @property {(message: string, field?: HTMLElement) => void} complain says what is wrong, at a field when it is one's
 */

/**
 * @param {object} what
 * @param {string} what.heading
 * @param {(Node | string)[]} what.body
 * @param {string} what.action the name of the button that does it
 * @param {string} [what.keep] the name of the button that does not
 * @param {boolean} [what.harm]
 * @param {(dialog: Dialog) => Promise<void> | void} what.act closes the dialog, or complains
 * @returns {Dialog}
 */
export function openDialog({ heading, body, action, keep = words.ask.cancel, harm = false, act }) {
  const before = document.activeElement;
  const id = `dialog-${++counter}`;
  const problem = h("p", { class: "problem", role: "alert", id: `${id}-problem`, hidden: true });
  const doIt = h("button", { type: "submit", class: harm ? "button harm" : "button main" }, action);
  let busy = false;
  const form = h(
    "form",
    {
      novalidate: true,
      onsubmit: async (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        if (busy) return;
        busy = true;
        problem.hidden = true;
        for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
        doIt.setAttribute("aria-busy", "true");
        await act(dialog);
        busy = false;
        doIt.removeAttribute("aria-busy");
      },
    },
    h("h2", { id }, heading),
    ...body,
    problem,
    h("div", { class: "row end" }, h("button", { type: "button", class: "button", onclick: () => element.close() }, keep), doIt),
  );
  const element = h("dialog", { "aria-labelledby": id, class: "dialog" }, form);
  element.addEventListener("close", () => {
    element.remove();
    if (before instanceof HTMLElement && before.isConnected && (document.activeElement === document.body || !document.activeElement)) before.focus();
  });
  element.addEventListener("mousedown", (event) => event.target === element && element.close());
  /** @type {Dialog} */
  const dialog = {
    element,
    close: () => element.close(),
    complain(message, field) {
      problem.textContent = message;
      problem.hidden = false;
      if (!field) return;
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", problem.id);
      field.focus();
    },
  };
  document.body.append(element);
  element.showModal();
  const first = element.querySelector("input, textarea");
  if (first instanceof HTMLElement) first.focus();
  else if (harm) element.querySelector("button")?.focus();
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
    "div",
    { class: "field" },
    h("label", { htmlFor: id }, label),
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
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
      "div",
      { class: "choice" },
      h("input", { type: "radio", name, value, id, checked: index === 0, "aria-describedby": `${id}-note` }),
      h("div", {}, h("label", { htmlFor: id }, label), h("p", { class: "hint", id: `${id}-note` }, note)),
    );
  });
  const element = h("fieldset", {}, h("legend", {}, legend), ...rows);
  return {
    element,
    get value() {
      const chosen = element.querySelector("input:checked");
      return chosen instanceof HTMLInputElement ? chosen.value : options[0].value;
    },
  };
}
