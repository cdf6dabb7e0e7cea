/** A small form on a page of settings: its fields, its one button, and below it in words what came of it. */

import { h } from "../dom.js";
import { problemOf } from "../refusal.js";
import { problemWords } from "../words.js";

/**
 * @typedef {object} Form
 * @property {HTMLFormElement} element
 * @property {(message: string, field?: HTMLElement) => void} complain
 */

let counter = 0;

/**
 * @param {object} what
 * @param {string} [what.heading]
 * @param {(Node | string)[]} what.body
 * @param {string} what.action the button's name
 * @param {boolean} [what.harm]
 * @param {(form: Form) => Promise<string | void> | string | void} what.act says what was done; throws a `Refusal`, or complains
 * @param {(text: string) => void} what.announce
 * @returns {Form}
 */
export function form({ heading, body, action, harm = false, act, announce }) {
  const id = `form-${++counter}`;
  const problem = h("p", { class: "problem", role: "alert", id: `${id}-problem`, hidden: true });
  const done = h("p", { class: "hint done", hidden: true });
  const button = h("button", { type: "submit", class: harm ? "button harm" : "button main" }, action);
  const element = h(
    "form",
    {
      class: "setting",
      novalidate: true,
      "aria-labelledby": heading ? `${id}-heading` : null,
      onsubmit: async (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        if (button.getAttribute("aria-busy")) return;
        problem.hidden = done.hidden = true;
        for (const field of element.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
        button.setAttribute("aria-busy", "true");
        try {
          const said = await act(self);
          if (said) {
            done.textContent = said;
            done.hidden = false;
            announce(said);
          }
        } catch (error) {
          self.complain(problemWords(problemOf(error)));
        }
        button.removeAttribute("aria-busy");
      },
    },
    heading && h("h3", { id: `${id}-heading` }, heading),
    ...body,
    problem,
    h("div", { class: "row" }, button, done),
  );
  /** @type {Form} */
  const self = {
    element,
    complain(message, field) {
      problem.textContent = message;
      problem.hidden = false;
      if (!field) return;
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", problem.id);
      field.focus();
    },
  };
  return self;
}
