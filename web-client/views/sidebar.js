/** The navigation: search, rooms, direct conversations, what one could join, and oneself at the foot. */

import { h, keyed, set, soon, unseen } from "../dom.js";
import { icon } from "../icons.js";
import { placeLink } from "../jump.js";
import { problemOf } from "../refusal.js";
import { problemWords, words } from "../words.js";
import { avatar } from "./avatar.js";
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
  const searchBox = h("input", { type: "search", class: "search", "aria-label": text.search, placeholder: text.searchHint, autocomplete: "off", spellcheck: "false" });
  const rooms = h("ul", { class: "entries" });
  const direct = h("ul", { class: "entries" });
  const joinable = h("ul", { class: "entries" });
  const people = h("ul", { class: "entries" });
  const joinableHeading = h("h2", {}, text.joinable);
  const peopleHeading = h("h2", {}, text.people);
  const noRooms = h("p", { class: "none" }, text.none);
  const noDirect = h("p", { class: "none" }, text.none);
  const nothing = h("p", { class: "none" }, text.nothing);
  const joinNote = h("span", { id: "join-note", hidden: true }, text.joinNote);
  const stray = h("button", { type: "button", class: "entry stray-entry", onclick: () => showStray(chat, strayItems()) });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const self = h("span", { class: "self" });
  const findWords = h("span", { class: "title", dir: "auto" });
  const findEntry = h("button", { type: "button", class: "entry", hidden: true, onclick: () => find(searchBox.value.trim(), true) }, icon("search"), findWords);
  const settingsButton = h("button", { type: "button", class: "icon-button", title: text.settings, "aria-haspopup": "dialog", onclick: settings }, icon("gear"), unseen(text.settings));

  const newRoom = h("button", { type: "button", class: "icon-button", title: text.newRoom, onclick: () => askNewRoom(chat, go) }, icon("plus"), unseen(text.newRoom));
  const newDirect = h(
    "button",
    { type: "button", class: "icon-button", title: text.newDirect, onclick: () => askNewDirect(chat, store, go) },
    icon("plus"),
    unseen(text.newDirect),
  );

  const element = h(
    "nav",
    { class: "sidebar", id: "rooms", "aria-label": text.label },
    h("div", { class: "sidebar-head" }, searchBox, h("button", { type: "button", class: "icon-button close-nav", title: text.close, onclick: close }, icon("close"), unseen(text.close))),
    h(
      "div",
      { class: "lists" },
      findEntry,
      problem,
      stray,
      h("div", { class: "section" }, h("h2", {}, text.rooms), newRoom),
      rooms,
      noRooms,
      h("div", { class: "section" }, h("h2", {}, text.direct), newDirect),
      direct,
      noDirect,
      h("div", { class: "section" }, joinableHeading),
      joinable,
      h("div", { class: "section" }, peopleHeading),
      people,
      nothing,
      joinNote,
    ),
    h("div", { class: "foot" }, self, settingsButton, h("button", { type: "button", class: "button small", onclick: () => chat.logOut() }, text.logOut)),
  );

  /** @param {Room} room */
  const join = async (room) => {
    problem.hidden = true;
    try {
      await chat.change("join", { room: room.room });
      go(room.room);
    } catch (error) {
      problem.textContent = problemWords(problemOf(error));
      problem.hidden = false;
    }
  };

  /** @param {User} user */
  const meet = async (user) => {
    problem.hidden = true;
    try {
      const { room } = await chat.change("open_direct", { users: [user.name] });
      searchBox.value = "";
      if (room) go(room.room);
    } catch (error) {
      problem.textContent = problemWords(problemOf(error));
      problem.hidden = false;
    }
  };

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
        h("li", {}, h("button", { type: "button", class: "entry joinable", "aria-describedby": "join-note", onclick: () => join(room) }, icon("hash"), h("span", { class: "title", dir: "auto" }, room.name))),
    });
    keyed(people, others.slice(0, PEOPLE_SHOWN), {
      key: (user) => user.name,
      create: (user) =>
        h("li", {}, h("button", { type: "button", class: "entry", onclick: () => meet(user) }, avatar(user.name, user.display), h("span", { class: "title", dir: "auto" }, fullName(user)))),
    });
    const searching = wanted !== "";
    noRooms.hidden = searching || own.length > 0 || store.epoch === null;
    noDirect.hidden = searching || met.length > 0 || store.epoch === null;
    set(/** @type {Element} */ (joinableHeading.parentElement), { hidden: open.length === 0 });
    set(/** @type {Element} */ (peopleHeading.parentElement), { hidden: others.length === 0 });
    findEntry.hidden = !searching;
    findWords.textContent = text.find(searchBox.value.trim());
    nothing.hidden = !searching || named.length + open.length + others.length > 0;
    const strays = strayItems().length;
    stray.hidden = strays === 0;
    stray.textContent = words.stray.entry(strays);
    const mine = store.users.get(me.name) ?? me;
    self.replaceChildren(avatar(me.name, mine.display), h("span", { class: "title", dir: "auto" }, mine.display));
  };

  const asked = soon(update);
  const offs = ["rooms", "users", "current"].map((topic) => store.on(topic, asked));
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let pause;
  searchBox.addEventListener("input", () => {
    update();
    clearTimeout(pause);
    const typed = searchBox.value.trim();
    if (typed === "") find("", false);
    else if ([...typed].length >= SEARCH_CHARACTERS) pause = setTimeout(() => find(typed, false), SEARCH_PAUSE_MS);
  });
  searchBox.addEventListener("keydown", (event) => {
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
  element.addEventListener("keydown", (event) => arrows(element, event));
  update();
  return {
    element,
    searchBox,
    stop() {
      clearTimeout(pause);
      offs.forEach((off) => off());
    },
  };
}

/**
 * A person's shown name with, where it differs, the one they log in with.
 * @param {User} user
 */
export function fullName(user) {
  return user.display === user.name ? user.name : `${user.display} (${user.name})`;
}

/** @param {(room: number) => void} go */
function roomEntry(go) {
  const link = h(
    "a",
    {
      class: "entry",
      onclick: (/** @type {MouseEvent} */ event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        go(Number(link.dataset.room));
      },
    },
    h("span", { class: "mark", "aria-hidden": "true" }),
    h("span", { class: "title", dir: "auto" }),
    h("span", { class: "count" }),
  );
  return h("li", {}, link);
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
    "aria-description": room.kind === "direct" ? (online ? words.nav.online : words.nav.offline) : room.kind === "private" ? words.room.private : null,
    "data-unread": String(room.unread > 0 && !room.muted),
    "data-muted": String(room.muted),
  });
  const look = `${room.kind} ${online} ${others[0] ?? ""} ${title}`;
  if (mark.dataset.look !== look) {
    mark.dataset.look = look;
    if (room.kind === "direct") {
      const dot = h("span", { class: online ? "dot online" : "dot" });
      mark.replaceChildren(avatar(others[0] ?? title, title), dot);
    } else {
      mark.replaceChildren(icon(room.kind === "private" ? "lock" : "hash"));
    }
  }
  if (name.textContent !== title) name.textContent = title;
  // What is muted is not counted.
  const unread = room.muted ? 0 : room.unread;
  const called = room.muted ? 0 : room.mentions;
  const key = `${unread} ${called} ${room.muted} ${failed}`;
  if (count.dataset.key === key) return;
  count.dataset.key = key;
  count.replaceChildren();
  if (failed > 0) {
    const sign = h("span", { class: "failed-count", title: words.nav.failed(failed) }, icon("alert"), unseen(` ${words.nav.failed(failed)} `));
    count.append(sign);
  }
  if (room.muted) count.append(h("span", { class: "muted-sign", title: words.nav.muted }, icon("bellOff"), unseen(` ${words.nav.muted}`)));
  const badge = (/** @type {string} */ looks, /** @type {string} */ shown, /** @type {string} */ spoken) =>
    count.append(h("span", { class: `badge ${looks}` }, h("span", { "aria-hidden": "true" }, shown), unseen(` ${spoken}`)));
  if (called > 0) badge("called", "@", words.nav.mentions(called));
  if (unread > 0) badge("", String(unread), words.nav.unread(unread));
}

/**
 * Up and down go from entry to entry.
 * @param {HTMLElement} nav
 * @param {KeyboardEvent} event
 */
function arrows(nav, event) {
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  const entries = /** @type {HTMLElement[]} */ ([...nav.querySelectorAll(".entries .entry")]);
  const at = entries.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  if (at < 0) return;
  event.preventDefault();
  entries[Math.max(0, Math.min(entries.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)))]?.focus();
}
