/** A small form on a page of settings: its fields, its one button, and below it in words what came of it. */

import { h } from "../dom.js";
import { asking, problemLine } from "./controls.js";

/**
 * @typedef {object} Form
 * @property {HTMLFormElement} element
 * @property {(message: string, field?: HTMLElement) => void} complain
 */

/**
 * @param {object} what
 * @param {string} what.heading
 * @param {(Node | string)[]} what.body
 * @param {string} what.action the button's name
 * @param {boolean} [what.harm]
 * @param {(form: Form) => Promise<string | void> | string | void} what.act says what was done; throws a `Refusal`, or complains
 * @param {(text: string) => void} what.announce
 * @returns {Form}
 */
export function form({ heading, body, action, harm = false, act, announce }) {
  const problem = problemLine();
  const done = h("p.hint.done", { hidden: true });
  const submit = async () => {
    done.hidden = true;
    const said = await act(self);
    if (!said) return;
    done.textContent = said;
    done.hidden = false;
    announce(said);
  };
  const button = h(`button.button.${harm ? "harm" : "main"}`, { type: "submit" }, action);
  const element = asking("form.setting", problem, submit, h("h3", heading), ...body, problem.element, h("div.row", button, done));
  element.setAttribute("aria-label", heading);
  /** @type {Form} */
  const self = { element, complain: problem.say };
  return self;
}
