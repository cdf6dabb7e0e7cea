/** Who is in the room, and what one can do about it: invite, remove, leave. */

import { auto, h, keyed, on, soon, unseen, write } from "../dom.js";
import { icon } from "../icons.js";
import { words } from "../words.js";
import { avatar, fullName, onlineFirst } from "./avatar.js";
import { asking, iconButton, problemLine, refusedAs } from "./controls.js";
import { field } from "./dialog.js";
import { askFirst, steadyId, suggestions } from "./dialogs.js";
import { editRoom, openPrograms } from "./lazy.js";

/** So many at a time. */
const SHOWN = 100;

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
  const name = h("p.full-name", auto);
  const topic = h("p.full-topic", auto);
  const count = h("p.hint");
  const people = h("ul.people");
  const problem = problemLine();
  const closeButton = iconButton("close", words.ask.close, close);
  const more = h("button.button.small", { onclick: () => showMore() }, text.more);
  /** @type {User[]} */
  let members = [];
  let most = SHOWN;
  let counted = false;
  let stopped = false;
  /** Whether the room is one's own to change. */
  let inCharge = false;

  const room = () => store.rooms.get(number);
  const invited = field(text.inviteName, { autocapitalize: "none", spellcheck: "false" });
  let idFor = steadyId();
  const send = async () => {
    const user = invited.input.value.trim().toLowerCase();
    if (user === "") return problem.say(text.inviteMissing, invited.input);
    const done = () => {
      // Once done, to invite the same person again is another wish.
      idFor = steadyId();
      invited.input.value = "";
      return load();
    };
    await chat.change("invite", { room: number, user }, idFor(user)).then(done, refusedAs("not_found", () => problem.say(words.newDirect.unknown, invited.input)));
  };
  const invite = asking("form.invite", problem, send, invited.element, suggestions(chat, store, invited.input, (who) => invited.input.value !== "" && !members.some((member) => member.name === who)), h("button.button.small", { type: "submit" }, text.invite));

  const rename = () => {
    const state = room();
    if (state) void editRoom(chat, state);
  };
  const change = h("button.button.small", { onclick: rename }, icon("pencil"), h("span", text.change));
  const showPrograms = () => {
    const state = room();
    if (state) void openPrograms(chat, state, () => room()?.last_seq ?? 0);
  };
  const programs = h("button.button.small", { onclick: showPrograms }, icon("plug"), h("span", text.programs));
  const askLeave = () => {
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
  };
  const leave = h("button.button.harm.small", { onclick: askLeave }, icon("leave"), h("span", text.leave));

  /** @param {User} user */
  const remove = (user) => {
    const ask = words.ask;
    askFirst({
      heading: ask.removeHeading(store.display(user.name), room()?.name ?? ""),
      text: ask.removeText,
      yes: text.remove,
      act: async () => {
        await chat.change("remove", { room: number, user: user.name });
        await load();
      },
    });
  };

  const mayRemove = (/** @type {User} */ user) => inCharge && room()?.kind === "private" && user.name !== store.me?.name;

  const update = () => {
    const state = room();
    if (!state) return;
    invite.hidden = state.kind !== "private";
    change.hidden = programs.hidden = !inCharge;
    leave.hidden = state.kind === "direct";
    write(name, store.title(state));
    write(topic, state.topic);
    topic.hidden = state.topic === "";
    write(count, text.count(members.length));
    more.hidden = members.length <= most;
    const all = members.map((user) => ({ ...user, ...(store.users.get(user.name) ?? {}), online: store.isOnline(user.name) }));
    all.sort(onlineFirst);
    keyed(people, all.slice(0, most), {
      key: (user) => `${user.name} ${user.online} ${user.display} ${user.role} ${user.deleted} ${mayRemove(user)}`,
      create: (user) => {
        const notes = [
          user.name === store.me?.name && text.you,
          user.role === "admin" && text.admin,
          !user.deleted && (user.online ? words.nav.online : words.nav.offline),
        ].filter(Boolean);
        return h(
          "li",
          h("span.mark", avatar(user.name, user.display), h(user.online ? "span.dot.online" : "span.dot")),
          h("span.title", auto, user.deleted ? text.deleted : fullName(user), h("span.hint", ` ${notes.join(", ")}`)),
          mayRemove(user) && h("button.button.small.quiet", { onclick: () => remove(user) }, text.remove, unseen(` ${user.name}`)),
        );
      },
    });
  };

  function showMore() {
    const from = people.children.length;
    most += SHOWN;
    update();
    const next = people.children[from];
    if (!(next instanceof HTMLElement)) return;
    next.tabIndex = -1;
    next.focus();
  }

  async function load() {
    try {
      // Only its creator and admins may ask for a room's hooks.
      const mayAsk = chat.ask("list_hooks", { room: number }).then(() => true, () => false);
      [members, inCharge] = await Promise.all([chat.reader.members(number), mayAsk]);
      if (stopped) return;
      update();
      // Once: whoever comes and goes later is not read out.
      if (!counted) announce(text.count(members.length));
      counted = true;
    } catch {
      problem.say(text.failed);
    }
  }

  const asked = soon(update);
  const offs = [store.on("users", asked), store.on("rooms", asked), store.on(`members:${number}`, () => void load())];
  const element = h(
    "aside.panel",
    { "aria-label": words.room.people },
    h("div.panel-head", h("h2", words.room.people), closeButton),
    name,
    topic,
    problem.element,
    invite,
    h("div.row", change, programs, leave),
    count,
    people,
    more,
  );
  on(element, "keydown", (event) => {
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
