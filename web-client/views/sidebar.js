/** The navigation: search, rooms, direct conversations, what one could join, and oneself at the foot. */

import { auto, h, keyed, on, pressed, set, soon, unseen, write } from "../dom.js";
import { icon } from "../icons.js";
import { placeLink } from "../jump.js";
import { amount } from "../language.js";
import { words } from "../words.js";
import { avatar, fullName } from "./avatar.js";
import { arrows, iconButton, problemLine } from "./controls.js";
import { askNewDirect, askNewRoom, showStray } from "./dialogs.js";

const PEOPLE_SHOWN = 20;
const JOINABLE_SHOWN = 50;
/** Messages are looked for while one types, after a pause and from so many characters on. */
const SEARCH_PAUSE_MS = 350;
const SEARCH_CHARACTERS = 2;

/**
 * @typedef {import("../types.js").RoomState} RoomState
 * @typedef {import("../types.js").Room} Room
 * @typedef {import("../types.js").User} User
 */

/**
 * @param {object} context
 * @param {import("../chat.js").Chat} context.chat
 * @param {import("../store.js").Store} context.store
 * @param {(room: number) => void} context.go
 * @param {() => void} context.close on a narrow page, goes back to the conversation
 * @param {(typed: string, asked: boolean) => void} context.find looks for messages
 * @param {() => void} context.settings
 */
export function sidebarView({ chat, store, go, close, find, settings }) {
  const text = words.nav;
  const searchBox = h("input.search", { type: "search", "aria-label": text.search, placeholder: text.searchHint, autocomplete: "off", spellcheck: "false" });
  const rooms = h("ul.entries");
  const direct = h("ul.entries");
  const joinable = h("ul.entries");
  const people = h("ul.entries");
  const joinableHeading = h("h2", text.joinable);
  const peopleHeading = h("h2", words.room.people);
  const noRooms = h("p.none", text.none);
  const noDirect = h("p.none", text.none);
  const nothing = h("p.none", text.nothing);
  const joinNote = h("span", { id: "join-note", hidden: true }, text.joinNote);
  const stray = h("button.entry.stray-entry", { onclick: () => showStray(chat, strayItems()) });
  const problem = problemLine();
  const self = h("span.self");
  const findWords = h("span.title", auto);
  const findEntry = h("button.entry", { hidden: true, onclick: () => find(searchBox.value.trim(), true) }, icon("search"), findWords);
  const settingsButton = iconButton("gear", text.settings, settings, "", { "aria-haspopup": "dialog" });
  const newRoom = iconButton("plus", text.newRoom, () => askNewRoom(chat, go));
  const newDirect = iconButton("plus", text.newDirect, () => askNewDirect(chat, store, go));

  const element = h(
    "nav.sidebar",
    { id: "rooms", "aria-label": text.rooms },
    h("div.sidebar-head", searchBox, iconButton("close", text.close, close, ".close-nav")),
    h(
      "div.lists",
      findEntry,
      problem.element,
      stray,
      h("div.section", h("h2", text.rooms), newRoom),
      rooms,
      noRooms,
      h("div.section", h("h2", words.kinds.direct), newDirect),
      direct,
      noDirect,
      h("div.section", joinableHeading),
      joinable,
      h("div.section", peopleHeading),
      people,
      nothing,
      joinNote,
    ),
    h("div.foot", self, settingsButton, h("button.button.small", { onclick: () => chat.logOut() }, text.logOut)),
  );

  const join = (/** @type {Room} */ { room }) =>
    problem.attempt(async () => {
      await chat.change("join", { room });
      go(room);
    });

  const meet = (/** @type {User} */ user) =>
    problem.attempt(async () => {
      const { room } = await chat.change("open_direct", { users: [user.name] });
      searchBox.value = "";
      if (room) go(room.room);
    });

  const strayItems = () => store.outbox.filter((item) => item.state === "failed" && item.op === "send" && store.epoch !== null && !store.rooms.has(item.room));

  const update = () => {
    const { me } = store;
    if (!me) return;
    const wanted = searchBox.value.trim().toLowerCase();
    const fits = (/** @type {string} */ title) => title.toLowerCase().includes(wanted);
    const named = [...store.rooms.values()].map((room) => ({ room, title: store.title(room) })).filter(({ title }) => fits(title));
    named.sort((a, b) => a.title.localeCompare(b.title) || a.room.room - b.room.room);
    const own = named.filter(({ room }) => room.kind !== "direct");
    const met = named.filter(({ room }) => room.kind === "direct");
    const open = store.joinable.filter((room) => fits(room.name)).sort((a, b) => a.name.localeCompare(b.name));
    const others = wanted === "" ? [] : [...store.users.values()].filter((user) => user.name !== me.name && !user.deleted && (fits(user.name) || fits(user.display)));
    const how = {
      key: (/** @type {{ room: RoomState }} */ { room }) => String(room.room),
      create: () => roomEntry(go),
      update: (/** @type {HTMLElement} */ entry, /** @type {{ room: RoomState, title: string }} */ { room, title }) => updateEntry(entry, room, title, store),
    };
    keyed(rooms, own, how);
    keyed(direct, met, how);
    keyed(joinable, open.slice(0, JOINABLE_SHOWN), {
      key: (room) => String(room.room),
      create: (room) =>
        h("li", h("button.entry.joinable", { "aria-describedby": "join-note", onclick: () => join(room) }, icon("hash"), h("span.title", auto, room.name))),
    });
    keyed(people, others.slice(0, PEOPLE_SHOWN), {
      key: (user) => user.name,
      create: (user) =>
        h("li", h("button.entry", { onclick: () => meet(user) }, avatar(user.name, user.display), h("span.title", auto, fullName(user)))),
    });
    const searching = wanted !== "";
    noRooms.hidden = searching || own.length > 0 || store.epoch === null;
    noDirect.hidden = searching || met.length > 0 || store.epoch === null;
    set(/** @type {Element} */ (joinableHeading.parentElement), { hidden: open.length === 0 });
    set(/** @type {Element} */ (peopleHeading.parentElement), { hidden: others.length === 0 });
    findEntry.hidden = !searching;
    write(findWords, text.find(searchBox.value.trim()));
    nothing.hidden = !searching || named.length + open.length + others.length > 0;
    const strays = strayItems().length;
    stray.hidden = strays === 0;
    write(stray, words.nav.failed(strays));
    const mine = store.users.get(me.name) ?? me;
    self.replaceChildren(avatar(me.name, mine.display), h("span.title", auto, mine.display));
  };

  const asked = soon(update);
  const offs = ["rooms", "users", "current"].map((topic) => store.on(topic, asked));
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let pause;
  for (const used of ["pointerenter", "focusin"]) on(element, used, () => chat.listRooms());
  on(searchBox, "input", () => {
    chat.listRooms();
    void chat.reader.findUsers(searchBox.value);
    update();
    clearTimeout(pause);
    const typed = searchBox.value.trim();
    if (typed === "") find("", false);
    else if ([...typed].length >= SEARCH_CHARACTERS) pause = setTimeout(() => find(typed, false), SEARCH_PAUSE_MS);
  });
  on(searchBox, "keydown", (event) => {
    if (event.key === "Escape" && searchBox.value !== "") {
      event.preventDefault();
      event.stopPropagation();
      searchBox.value = "";
      update();
      find("", false);
    } else if (event.key === "Enter" && searchBox.value.trim() !== "") {
      event.preventDefault();
      clearTimeout(pause);
      find(searchBox.value.trim(), true);
    } else if (event.key === "ArrowDown") {
      const first = element.querySelector(".entries .entry");
      if (!(first instanceof HTMLElement)) return;
      event.preventDefault();
      first.focus();
    }
  });
  on(element, "keydown", (event) => arrows(event, element, ".entries .entry"));
  update();
  return {
    element,
    searchBox,
    /** Nothing is looked for any more: the whole list is there again. */
    clear() {
      clearTimeout(pause);
      if (searchBox.value === "") return;
      searchBox.value = "";
      update();
    },
    stop() {
      clearTimeout(pause);
      offs.forEach((off) => off());
    },
  };
}

/** @param {(room: number) => void} go */
function roomEntry(go) {
  const link = h(
    "a.entry",
    { onclick: pressed(() => go(Number(link.dataset.room))) },
    h("span.mark", { "aria-hidden": "true" }),
    h("span.title", auto),
    h("span.count"),
  );
  return h("li", link);
}

/**
 * @param {HTMLElement} entry
 * @param {RoomState} room
 * @param {string} title
 * @param {import("../store.js").Store} store
 */
function updateEntry(entry, room, title, store) {
  const link = /** @type {HTMLAnchorElement} */ (entry.firstElementChild);
  const [mark, name, count] = /** @type {HTMLElement[]} */ ([...link.children]);
  link.dataset.room = String(room.room);
  const failed = store.outbox.filter((item) => item.room === room.room && item.state === "failed").length;
  const others = room.users.filter((user) => user !== store.me?.name);
  const online = room.kind === "direct" && others.some((user) => store.isOnline(user));
  set(link, {
    href: placeLink(room.room),
    "aria-current": store.current === room.room ? "page" : null,
    "aria-description": room.kind === "direct" ? (online ? words.nav.online : words.nav.offline) : room.kind === "private" ? words.kinds.private : null,
    "data-unread": String(room.unread > 0 && !room.muted),
    "data-muted": String(room.muted),
  });
  const look = `${room.kind} ${online} ${others[0] ?? ""} ${title}`;
  if (mark.dataset.look !== look) {
    mark.dataset.look = look;
    if (room.kind === "direct") {
      const dot = h(online ? "span.dot.online" : "span.dot");
      mark.replaceChildren(avatar(others[0] ?? title, title), dot);
    } else {
      mark.replaceChildren(icon(room.kind === "private" ? "lock" : "hash"));
    }
  }
  write(name, title);
  set(name, { title });
  // What is muted is not counted.
  const unread = room.muted ? 0 : room.unread;
  const called = room.muted ? 0 : room.mentions;
  const key = `${unread} ${called} ${room.muted} ${failed}`;
  if (count.dataset.key === key) return;
  count.dataset.key = key;
  count.replaceChildren();
  if (failed > 0) {
    const sign = h("span.failed-count", { title: words.nav.failed(failed) }, icon("alert"), unseen(` ${words.nav.failed(failed)} `));
    count.append(sign);
  }
  if (room.muted) count.append(h("span.muted-sign", { title: words.nav.muted }, icon("bellOff"), unseen(` ${words.nav.muted}`)));
  const badge = (/** @type {string} */ looks, /** @type {string} */ shown, /** @type {string} */ spoken) =>
    count.append(h(`span.badge${looks}`, h("span", { "aria-hidden": "true" }, shown), unseen(` ${spoken}`)));
  if (called > 0) badge(".called", "@", words.nav.mentions(called));
  if (unread > 0) badge("", amount(unread), words.nav.unread(unread));
}
