/** The first page: one form, two ways in; and what a link leads to: an account, or a new password. */

import { h } from "../dom.js";
import { whyNot } from "../links.js";
import { problemOf } from "../refusal.js";
import { byteLength } from "../text.js";
import { problemWords, words } from "../words.js";
import { asking, problemLine } from "./controls.js";
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
  const problem = problemLine();
  const complain = problem.say;
  const logIn = h("button.button.main", { type: "submit" }, text.logIn);
  const create = h(link ? "button.button.main" : "button.button", { type: "submit", value: "register" }, text.create);
  const change = h("button.button.main", { type: "submit" }, text.setPassword);
  const without = h("button.button", { onclick: leave }, text.withoutLink);
  const idFor = steadyId();

  /** @param {"login" | "register" | "reset"} op */
  const enter = async (op) => {
    const who = name.input.value.trim().toLowerCase();
    const secret = password.input.value;
    if (op !== "reset" && who === "") return complain(text.nameMissing, name.input);
    if (op === "register" && !NAME.test(who)) return complain(text.nameWrong, name.input);
    if (secret === "") return complain(text.passwordMissing, password.input);
    if (op !== "login" && byteLength(secret) < PASSWORD_MIN) return complain(text.passwordShort, password.input);
    if (byteLength(secret) > PASSWORD_MAX) return complain(text.passwordLong, password.input);
    try {
      const id = idFor([op, who, secret]);
      if (op === "reset") await chat.resetPassword(link?.token ?? "", secret, id);
      else await chat.enter(op, who, secret, id, op === "register" ? link?.token : undefined);
    } catch (error) {
      refused(op, problemOf(error));
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

  if (chat.farewell === "ended" && !link) complain(text.ended);
  const pressed = (/** @type {HTMLElement | null} */ button) => {
    const register = link || (button instanceof HTMLButtonElement && button.value === "register");
    return enter(reset ? "reset" : register ? "register" : "login");
  };
  return h(
    "main.login",
    asking(
      "form",
      problem,
      pressed,
      h("h1", text.heading),
      h("p.hint", link ? text.intros[link.kind] : text.intro),
      !reset && name.element,
      password.element,
      problem.element,
      h("div.row", ...(reset ? [change, without] : link ? [create, without] : [logIn, create])),
    ),
  );
}
