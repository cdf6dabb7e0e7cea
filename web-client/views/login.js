/** The first page: one form, two ways in; and what a link leads to: an account, or a new password. */

import { h } from "../dom.js";
import { whyNot } from "../links.js";
import { problemOf } from "../refusal.js";
import { byteLength } from "../text.js";
import { problemWords, words } from "../words.js";
import { steadyId } from "./dialogs.js";
import { field } from "./dialog.js";

const NAME = /^[a-z0-9._-]{1,32}$/;
export const PASSWORD_MIN = 8;
export const PASSWORD_MAX = 256;

/**
 * @param {import("../chat.js").Chat} chat
 * @param {import("../links.js").Link | null} link
 * @param {() => void} leave does without the link
 * @returns {HTMLElement}
 */
export function loginView(chat, link, leave) {
  const text = words.login;
  const reset = link?.kind === "reset";
  const name = field(text.name, { name: "username", autocomplete: "username", autocapitalize: "none", spellcheck: "false", maxLength: 64 });
  const password = field(
    reset ? text.newPassword : text.password,
    { type: "password", name: "password", autocomplete: link ? "new-password" : "current-password" },
    link ? text.passwordHint : "",
  );
  const problem = h("p", { class: "problem", role: "alert", id: "login-problem", hidden: true });
  const logIn = h("button", { type: "submit", class: "button main", value: "login" }, text.logIn);
  const create = h("button", { type: "submit", class: link ? "button main" : "button", value: "register" }, text.create);
  const change = h("button", { type: "submit", class: "button main", value: "reset" }, text.setPassword);
  const without = h("button", { type: "button", class: "button", onclick: leave }, text.withoutLink);
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

  /** @param {"login" | "register" | "reset"} op */
  const enter = async (op) => {
    const who = name.input.value.trim().toLowerCase();
    const secret = password.input.value;
    if (op !== "reset" && who === "") return complain(text.nameMissing, name.input);
    if (op === "register" && !NAME.test(who)) return complain(text.nameWrong, name.input);
    if (secret === "") return complain(text.passwordMissing, password.input);
    if (op !== "login" && byteLength(secret) < PASSWORD_MIN) return complain(text.passwordShort, password.input);
    if (byteLength(secret) > PASSWORD_MAX) return complain(text.passwordLong, password.input);
    busy = true;
    const button = { login: logIn, register: create, reset: change }[op];
    button.setAttribute("aria-busy", "true");
    try {
      const id = idFor([op, who, secret]);
      if (op === "reset") await chat.resetPassword(link?.token ?? "", secret, id);
      else await chat.enter(op, who, secret, id, op === "register" ? link?.token : undefined);
    } catch (error) {
      refused(op, problemOf(error));
    } finally {
      busy = false;
      button.removeAttribute("aria-busy");
    }
  };

  /**
   * @param {"login" | "register" | "reset"} op
   * @param {import("../types.js").Problem} what
   */
  const refused = (op, what) => {
    const { code, message } = what;
    if (code === "unavailable" || code === "timeout") complain(text.unavailable);
    else if (code === "forbidden" && link && op !== "login") {
      const { why, name: only } = whyNot(message);
      if (why === "name") complain(text.linkName(only), name.input);
      else complain(text.link[why]);
    } else if (code === "forbidden") complain(op === "login" ? text.disabled : text.closed);
    else if (code === "unauthorized") complain(text.wrong, password.input);
    else if (code === "conflict") complain(text.taken, name.input);
    else complain(problemWords(what));
  };

  if (chat.farewell === "ended" && !link) {
    problem.textContent = text.ended;
    problem.hidden = false;
  }
  const intro = link ? text.intros[link.kind] : text.intro;
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
          void enter(reset ? "reset" : link || pressed === "register" ? "register" : "login");
        },
      },
      h("h1", {}, text.heading),
      h("p", { class: "hint" }, intro),
      !reset && name.element,
      password.element,
      problem,
      h("div", { class: "row" }, ...(reset ? [change, without] : link ? [create, without] : [logIn, create])),
    ),
  );
}
