/** For admins: everybody who has an account, and what can be done about it. */

import { auto, h, on, unseen } from "../dom.js";
import { list, readUser } from "../frames.js";
import { settingsWords } from "../settings_words.js";
import { fullTime } from "../time.js";
import { words } from "../words.js";
import { avatar, fullName } from "./avatar.js";
import { problemLine } from "./controls.js";
import { field } from "./dialog.js";
import { askFirst } from "./dialogs.js";
import { showLink } from "./link_box.js";

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
  const wanted = field(text.find, { type: "search", autocapitalize: "none", spellcheck: "false" });
  const problem = problemLine();
  const link = h("div");
  const rows = h("ul.rows");
  const more = h("button.button.small", { hidden: true, onclick: () => load(last) }, text.more);
  const element = h("div.settings-body", h("h3", settingsWords.settings.tabs.people), wanted.element, problem.element, link, rows, more);
  /** @type {string | undefined} */
  let last;
  let asked = 0;
  let shown = 0;

  /** @param {string} [after] the next page of the same */
  const load = (after = "") =>
    problem.attempt(async () => {
      const number = ++asked;
      const typed = wanted.input.value.trim().toLowerCase();
      const reply = await chat.ask("list_users", { limit: PAGE, ...(after ? { after } : {}), ...(typed ? { match: `*${typed}*` } : {}) });
      if (number !== asked) return;
      shown = number;
      const users = list(reply.users).map(readUser);
      last = users.at(-1)?.name;
      const made = users.map(row);
      more.hidden = users.length < PAGE;
      if (!after) return rows.replaceChildren(...made);
      rows.append(...made);
      made[0]?.querySelector("button")?.focus();
    });

  /** @param {User} user */
  function row(user) {
    const item = h("li.row-item");
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
      h("button.button.small", { onclick: () => problem.attempt(act) }, label, unseen(` ${user.name}`));
    /**
     * @param {string} op
     * @param {Partial<User>} change
     */
    const make = async (op, change) => {
      await chat.change(op, { user: user.name, ...change });
      announce(text.done);
      fill(item, { ...user, ...change });
      // A list that was asked for before would show how it was.
      if (shown !== asked || !item.isConnected) return load();
      // Once a question that was asked before has gone.
      setTimeout(() => item.querySelector("button")?.focus(), 0);
    };
    const setRole = (/** @type {User["role"]} */ role) => make("set_role", { role });
    const setDisabled = (/** @type {boolean} */ disabled) => make("set_disabled", { disabled });
    const acts = user.deleted
      ? []
      : [
          !user.bot && (user.role === "admin" ? button(text.makeMember, () => setRole("member")) : button(text.makeAdmin, () => confirm(text.adminHeading(user.name), text.adminText, text.makeAdmin, () => setRole("admin")))),
          user.disabled
            ? button(text.enable, () => setDisabled(false))
            : !own && button(text.disable, () => confirm(text.disableHeading(user.name), text.disableText, text.disable, () => setDisabled(true))),
          !user.bot && button(text.reset, async () => {
            const { reply } = await chat.change("reset_password", { user: user.name });
            showLink(link, text.resetLink(user.name), String(reply.link), settingsWords.links.until(fullTime(Number(reply.until))));
          }),
        ];
    item.replaceChildren(
      avatar(user.name, user.display),
      h("div.row-main", h("span", auto, fullName(user)), h("span.hint", notes.filter(Boolean).join(", "))),
      h("div.row-acts", ...acts),
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
  on(wanted.input, "input", () => {
    clearTimeout(pause);
    pause = setTimeout(() => load(), PAUSE_MS);
  });
  void load();
  return { element, stop: () => clearTimeout(pause) };
}
