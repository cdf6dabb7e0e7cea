/** The quick switcher: a few letters of a room's or a person's name, and Enter. */

import { auto, h, on, soon, write } from "../dom.js";
import { best } from "../fuzzy.js";
import { icon } from "../icons.js";
import { words } from "../words.js";
import { avatar, onlineFirst } from "./avatar.js";
import { choosing, problemLine, showDialog, staying } from "./controls.js";

const SHOWN = 12;

/**
 * @typedef {object} Target
 * @property {string} title
 * @property {string[]} names
 * @property {Node} mark
 * @property {string} note
 * @property {() => Promise<number | null>} room opens what must be opened first
 *
 * @param {object} context
 * @param {import("../chat.js").Chat} context.chat
 * @param {import("../store.js").Store} context.store
 * @param {(room: number) => void} context.go
 */
export function openSwitcher({ chat, store, go }) {
  const text = words.switcher;
  let all = targets(chat, store);
  const input = h("input", {
    type: "text", role: "combobox", "aria-label": text.label, placeholder: text.label, "aria-expanded": "true", "aria-controls": "switcher-list",
    "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false",
  });
  const options = h("ul", { role: "listbox", id: "switcher-list", "aria-label": text.label });
  const note = h("p.hint", text.hint);
  const problem = problemLine();
  const element = h("dialog.dialog.switcher", { "aria-label": text.heading }, input, options, problem.element, note);
  /** @type {Target[]} */
  let found = [];
  let chosen = 0;

  const choose = choosing(input, options);
  const take = (/** @type {number} */ index) =>
    problem.attempt(async () => {
      const target = found[index];
      if (!target) return;
      const room = await target.room();
      element.close();
      if (room !== null) go(room);
    });
  const update = () => {
    found = best(input.value.trim(), all, (target) => target.names, SHOWN);
    options.replaceChildren(
      ...found.map((target, at) =>
        h(
          "li",
          { role: "option", id: `switcher-${at}`, onmousedown: staying, onclick: () => take(at) },
          h("span.mark", target.mark.cloneNode(true)),
          h("span.title", auto, target.title),
          h("span.hint", target.note),
        ),
      ),
    );
    write(note, found.length === 0 ? words.nav.nothing : text.hint);
    chosen = choose(0);
  };
  on(input, "input", () => {
    void chat.reader.findUsers(input.value);
    update();
  });
  on(input, "keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown") chosen = choose(chosen + 1);
    else if (event.key === "ArrowUp") chosen = choose(chosen - 1);
    else if (event.key === "Enter") void take(chosen);
    else return;
    event.preventDefault();
  });
  showDialog(element);
  update();
  input.focus();
  // What others have made meanwhile comes into the list; what was chosen stays chosen.
  const anew = soon(() => {
    const before = found[chosen]?.title;
    all = targets(chat, store);
    update();
    chosen = choose(Math.max(0, found.findIndex(({ title }) => title === before)));
  });
  const offs = [store.on("rooms", anew), store.on("users", anew)];
  on(element, "close", () => offs.forEach((off) => off()));
  chat.listRooms();
}

/**
 * Rooms by what is unread, then by name; what one could join; then people.
 * @param {import("../chat.js").Chat} chat
 * @param {import("../store.js").Store} store
 * @returns {Target[]}
 */
function targets(chat, store) {
  const text = words.switcher;
  const rooms = [...store.rooms.values()].map((room) => ({ room, title: store.title(room) }));
  rooms.sort((a, b) => Number(b.room.unread > 0) - Number(a.room.unread > 0) || a.title.localeCompare(b.title));
  const own = rooms.map(({ room, title }) => {
    const others = room.users.filter((name) => name !== store.me?.name);
    return {
      title,
      names: [title, ...(room.kind === "direct" ? others : [])],
      mark: room.kind === "direct" ? avatar(others[0] ?? title, title) : icon(room.kind === "private" ? "lock" : "hash"),
      note: room.unread > 0 ? words.nav.unread(room.unread) : "",
      room: async () => room.room,
    };
  });
  const open = store.joinable.map((room) => ({
    title: room.name,
    names: [room.name],
    mark: icon("hash"),
    note: text.join,
    room: async () => {
      await chat.change("join", { room: room.room });
      return room.room;
    },
  }));
  const met = new Set(rooms.filter(({ room }) => room.kind === "direct" && room.users.length === 2).flatMap(({ room }) => room.users));
  const people = [...store.users.values()].filter((user) => !user.deleted && user.name !== store.me?.name && !met.has(user.name));
  people.sort(onlineFirst);
  const persons = people.map((user) => ({
    title: user.display,
    names: [user.name, user.display],
    mark: avatar(user.name, user.display),
    note: user.display === user.name ? (user.online ? words.nav.online : "") : user.name,
    room: async () => (await chat.change("open_direct", { users: [user.name] })).room?.room ?? null,
  }));
  return [...own, ...open, ...persons];
}
