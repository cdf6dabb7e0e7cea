/** The first page: one form, two ways in. */

import { h } from "../dom.js";
import { problemOf } from "../refusal.js";
import { byteLength } from "../text.js";
import { problemWords, words } from "../words.js";
import { steadyId } from "./dialogs.js";
import { field } from "./dialog.js";

const NAME = /^[a-z0-9._-]{1,32}$/;
const PASSWORD_MIN = 8;
const PASSWORD_MAX = 256;

/**
 * @param {import("../chat.js").Chat} chat
 * @returns {HTMLElement}
 */
export function loginView(chat) {
  const text = words.login;
  const name = field(text.name, { name: "username", autocomplete: "username", autocapitalize: "none", spellcheck: "false", maxLength: 64 });
  const password = field(text.password, { type: "password", name: "password", autocomplete: "current-password" });
  const problem = h("p", { class: "problem", role: "alert", id: "login-problem", hidden: true });
  const logIn = h("button", { type: "submit", class: "button main", value: "login" }, text.logIn);
  const create = h("button", { type: "submit", class: "button", value: "register" }, text.create);
  const idFor = steadyId();
  let busy = false;

  /**
   * @param {string} message
   * @param {HTMLInputElement} [at]
   */
  const complain = (message, at) => {
    problem.textContent = message;
    problem.hidden = false;
    if (at) {
      set(at, true);
      at.focus();
    }
  };
  const set = (/** @type {HTMLInputElement} */ input, /** @type {boolean} */ wrong) => {
    if (wrong) {
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", "login-problem");
    } else {
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
    }
  };

  /** @param {"login" | "register"} op */
  const enter = async (op) => {
    const who = name.input.value.trim().toLowerCase();
    const secret = password.input.value;
    if (who === "") return complain(text.nameMissing, name.input);
    if (op === "register" && !NAME.test(who)) return complain(text.nameWrong, name.input);
    if (secret === "") return complain(text.passwordMissing, password.input);
    if (op === "register" && byteLength(secret) < PASSWORD_MIN) return complain(text.passwordShort, password.input);
    if (byteLength(secret) > PASSWORD_MAX) return complain(text.passwordLong, password.input);
    busy = true;
    const button = op === "login" ? logIn : create;
    button.setAttribute("aria-busy", "true");
    try {
      await chat.enter(op, who, secret, idFor([op, who, secret]));
    } catch (error) {
      const { code, ...rest } = problemOf(error);
      if (code === "unauthorized") complain(text.wrong, password.input);
      else if (code === "conflict") complain(text.taken, name.input);
      else if (code === "forbidden") complain(text.closed);
      else if (code === "unavailable" || code === "timeout") complain(text.unavailable);
      else complain(problemWords({ code, ...rest }));
    } finally {
      busy = false;
      button.removeAttribute("aria-busy");
    }
  };

  if (chat.farewell === "ended") {
    problem.textContent = text.ended;
    problem.hidden = false;
  }
  return h(
    "main",
    { class: "login" },
    h(
      "form",
      {
        novalidate: true,
        onsubmit: (/** @type {SubmitEvent} */ event) => {
          event.preventDefault();
          if (busy) return;
          problem.hidden = true;
          set(name.input, false);
          set(password.input, false);
          const pressed = event.submitter instanceof HTMLButtonElement ? event.submitter.value : "login";
          void enter(pressed === "register" ? "register" : "login");
        },
      },
      h("h1", {}, text.heading),
      h("p", { class: "hint" }, text.intro),
      name.element,
      password.element,
      problem,
      h("div", { class: "row" }, logIn, create),
    ),
  );
}
