/** For admins: everybody who has an account, and what can be done about it. */

import { h, unseen } from "../dom.js";
import { list, readUser } from "../frames.js";
import { problemOf } from "../refusal.js";
import { settingsWords } from "../settings_words.js";
import { problemWords, words } from "../words.js";
import { avatar } from "./avatar.js";
import { field } from "./dialog.js";
import { askFirst } from "./dialogs.js";
import { linkBox } from "./link_box.js";
import { fullName } from "./sidebar.js";

const PAGE = 50;
const PAUSE_MS = 250;

/**
 * @typedef {import("../types.js").User} User
 *
 * @param {import("./settings.js").Context} context
 * @returns {import("./settings.js").Section}
 */
export function adminPeopleView({ chat, store, announce }) {
  const text = settingsWords.admin;
  const wanted = field(text.findPerson, { type: "search", autocapitalize: "none", spellcheck: "false" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const link = h("div");
  const rows = h("ul", { class: "rows" });
  const more = h("button", { type: "button", class: "button small", hidden: true, onclick: () => load(last) }, text.more);
  const element = h("div", { class: "settings-body" }, h("h3", {}, settingsWords.settings.tabs.people), wanted.element, problem, link, rows, more);
  let last = "";
  let asked = 0;

  const complain = (/** @type {unknown} */ error) => {
    problem.textContent = problemWords(problemOf(error));
    problem.hidden = false;
  };

  /** @param {string} [after] the next page of the same */
  async function load(after = "") {
    const number = ++asked;
    problem.hidden = true;
    const typed = wanted.input.value.trim().toLowerCase();
    try {
      const reply = await chat.ask("list_users", { limit: PAGE, ...(after ? { after } : {}), ...(typed ? { match: `*${typed}*` } : {}) });
      if (number !== asked) return;
      const users = list(reply.users).map(readUser);
      last = users.at(-1)?.name ?? "";
      const made = users.map(row);
      if (after) rows.append(...made);
      else rows.replaceChildren(...made);
      more.hidden = users.length < PAGE;
      if (after) made[0]?.querySelector("button")?.focus();
    } catch (error) {
      complain(error);
    }
  }

  /** @param {User} user */
  function row(user) {
    const item = h("li", { class: "row-item" });
    fill(item, user);
    return item;
  }

  /**
   * @param {HTMLElement} item
   * @param {User} user
   */
  function fill(item, user) {
    const own = user.name === store.me?.name;
    const notes = [own && words.people.you, user.role === "admin" && words.people.admin, user.bot && text.bot, user.disabled && text.disabled, user.deleted && words.people.deleted, user.online && words.nav.online];
    const button = (/** @type {string} */ label, /** @type {() => Promise<unknown> | void} */ act) =>
      h("button", { type: "button", class: "button small", onclick: async () => {
        problem.hidden = true;
        try {
          await act();
        } catch (error) {
          complain(error);
        }
      } }, label, unseen(` ${user.name}`));
    /** @param {Partial<User>} change */
    const now = (change) => {
      fill(item, { ...user, ...change });
      // Once a question that was asked before has gone.
      setTimeout(() => item.querySelector("button")?.focus(), 0);
    };
    const setRole = async (/** @type {User["role"]} */ role) => {
      await chat.change("set_role", { user: user.name, role });
      now({ role });
      announce(text.done);
    };
    const setDisabled = async (/** @type {boolean} */ disabled) => {
      await chat.change("set_disabled", { user: user.name, disabled });
      now({ disabled });
      announce(text.done);
    };
    const acts = user.deleted
      ? []
      : [
          !user.bot && (user.role === "admin" ? button(text.makeMember, () => setRole("member")) : button(text.makeAdmin, () => confirm(text.adminHeading(user.name), text.adminText, text.makeAdmin, () => setRole("admin")))),
          user.disabled
            ? button(text.enable, () => setDisabled(false))
            : !own && button(text.disable, () => confirm(text.disableHeading(user.name), text.disableText, text.disable, () => setDisabled(true))),
          !user.bot && button(text.reset, async () => {
            const { reply } = await chat.change("reset_password", { user: user.name });
            const box = linkBox(text.resetLink(user.name), String(reply.link), Number(reply.until), announce);
            link.replaceChildren(box.element);
            box.focus();
          }),
        ];
    item.replaceChildren(
      avatar(user.name, user.display),
      h("div", { class: "row-main" }, h("span", { dir: "auto" }, fullName(user)), h("span", { class: "hint" }, notes.filter(Boolean).join(", "))),
      h("div", { class: "row-acts" }, ...acts),
    );
  }

  /**
   * @param {string} heading
   * @param {string} what
   * @param {string} yes
   * @param {() => Promise<unknown>} act
   */
  function confirm(heading, what, yes, act) {
    askFirst({ heading, text: what, yes, no: words.ask.cancel, act });
  }

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let pause;
  wanted.input.addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(() => load(), PAUSE_MS);
  });
  void load();
  return { element, stop: () => clearTimeout(pause) };
}
