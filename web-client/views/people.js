/** Who is in the room, and what one can do about it: invite, remove, leave. */

import { h, keyed, soon, unseen } from "../dom.js";
import { icon } from "../icons.js";
import { problemOf } from "../refusal.js";
import { problemWords, words } from "../words.js";
import { avatar } from "./avatar.js";
import { field } from "./dialog.js";
import { askFirst, steadyId } from "./dialogs.js";
import { editRoom } from "./lazy.js";
import { fullName } from "./sidebar.js";

/**
 * @typedef {import("../types.js").User} User
 *
 * @param {object} context
 * @param {import("../chat.js").Chat} context.chat
 * @param {import("../store.js").Store} context.store
 * @param {number} context.number
 * @param {() => void} context.close
 * @param {(text: string) => void} context.announce
 */
export function peopleView({ chat, store, number, close, announce }) {
  const text = words.people;
  const count = h("p", { class: "hint" });
  const people = h("ul", { class: "people" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const closeButton = h("button", { type: "button", class: "icon-button", title: text.close, onclick: close }, icon("close"), unseen(text.close));
  /** @type {User[]} */
  let members = [];
  let stopped = false;

  const room = () => store.rooms.get(number);
  const complain = (/** @type {unknown} */ error) => {
    problem.textContent = problemWords(problemOf(error));
    problem.hidden = false;
  };

  const invited = field(text.inviteName, { autocapitalize: "none", spellcheck: "false" });
  let idFor = steadyId();
  const invite = h(
    "form",
    {
      class: "invite",
      novalidate: true,
      onsubmit: async (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        problem.hidden = true;
        const user = invited.input.value.trim().toLowerCase();
        if (user === "") {
          problem.textContent = text.inviteMissing;
          problem.hidden = false;
          invited.input.focus();
          return;
        }
        try {
          await chat.change("invite", { room: number, user }, idFor(user));
          // Once done, to invite the same person again is another wish.
          idFor = steadyId();
          invited.input.value = "";
          await load();
        } catch (error) {
          if (problemOf(error).code === "not_found") {
            problem.textContent = words.newDirect.unknown;
            problem.hidden = false;
          } else complain(error);
        }
      },
    },
    invited.element,
    h("button", { type: "submit", class: "button small" }, text.invite),
  );

  const change = h(
    "button",
    {
      type: "button",
      class: "button small",
      onclick: () => {
        const state = room();
        if (state) void editRoom(chat, state);
      },
    },
    icon("pencil"),
    h("span", {}, text.change),
  );
  const leave = h(
    "button",
    {
      type: "button",
      class: "button harm small",
      onclick: () => {
        const state = room();
        if (!state) return;
        const ask = words.ask;
        askFirst({
          heading: ask.leaveHeading(state.name),
          text: state.kind === "private" ? ask.leavePrivate : ask.leavePublic,
          yes: ask.leaveYes,
          no: ask.leaveNo,
          act: () => chat.change("leave", { room: number }),
        });
      },
    },
    icon("leave"),
    h("span", {}, text.leave),
  );

  /** @param {User} user */
  const remove = (user) => {
    const ask = words.ask;
    askFirst({
      heading: ask.removeHeading(store.display(user.name), room()?.name ?? ""),
      text: ask.removeText,
      yes: ask.removeYes,
      no: ask.removeNo,
      act: async () => {
        await chat.change("remove", { room: number, user: user.name });
        await load();
      },
    });
  };

  /** Who may: the creator, when the server says who that is, and admins; the server has the last word. @param {User} user */
  const mayRemove = (user) => {
    const state = room();
    const me = store.me;
    if (!state || !me || state.kind !== "private" || user.name === me.name) return false;
    return me.role === "admin" || state.creator === undefined || state.creator === me.name;
  };

  const update = () => {
    const state = room();
    if (!state) return;
    invite.hidden = state.kind !== "private";
    change.hidden = state.kind === "direct" || !(store.me?.role === "admin" || (state.creator !== undefined && state.creator === store.me?.name));
    leave.hidden = state.kind === "direct";
    count.textContent = text.count(members.length);
    const rows = members.map((user) => ({ ...user, ...(store.users.get(user.name) ?? {}), online: store.isOnline(user.name) }));
    rows.sort((a, b) => Number(b.online ?? false) - Number(a.online ?? false) || (a.name < b.name ? -1 : 1));
    keyed(people, rows, {
      key: (user) => `${user.name} ${user.online} ${user.display} ${user.role} ${mayRemove(user)}`,
      create: (user) => {
        const notes = [
          user.name === store.me?.name && text.you,
          user.role === "admin" && text.admin,
          user.deleted ? text.deleted : user.online ? words.nav.online : words.nav.offline,
        ].filter(Boolean);
        return h(
          "li",
          {},
          h("span", { class: "mark" }, avatar(user.name, user.display), h("span", { class: user.online ? "dot online" : "dot" })),
          h("span", { class: "title", dir: "auto" }, fullName(user), h("span", { class: "hint" }, ` ${notes.join(", ")}`)),
          mayRemove(user) && h("button", { type: "button", class: "button small quiet", onclick: () => remove(user) }, text.remove, unseen(` ${user.name}`)),
        );
      },
    });
  };

  async function load() {
    try {
      members = await chat.reader.members(number);
      if (stopped) return;
      update();
      announce(text.count(members.length));
    } catch {
      problem.textContent = text.failed;
      problem.hidden = false;
    }
  }

  const asked = soon(update);
  const offs = [store.on("users", asked), store.on("rooms", asked), store.on("members", () => void load())];
  const element = h(
    "aside",
    { class: "panel", "aria-label": text.heading },
    h("div", { class: "panel-head" }, h("h2", {}, text.heading), closeButton),
    count,
    people,
    problem,
    invite,
    change,
    leave,
  );
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
  });
  update();
  void load();
  return {
    element,
    focus: () => closeButton.focus(),
    stop() {
      stopped = true;
      offs.forEach((off) => off());
    },
  };
}
