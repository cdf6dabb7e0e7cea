/** The page of someone who is logged in: navigation, the open room, the panel beside it, and the keys that lead around. */

import { recall, remember } from "../db.js";
import { draftKey, readDraft } from "../draft.js";
import { auto, h, isAsked, on, soon, touched, wide } from "../dom.js";
import { placeLink, readPlace } from "../jump.js";
import { amount } from "../language.js";
import { problemOf } from "../refusal.js";
import { problemWords, words } from "../words.js";
import { conversationView } from "./conversation.js";
import { askNewRoom, tell } from "./dialogs.js";
import { openSettings, openSwitcher, peopleModule, searchModule } from "./lazy.js";
import { sidebarView } from "./sidebar.js";

/**
 * @param {object} context
 * @param {import("../chat.js").Chat} context.chat
 * @param {import("../store.js").Store} context.store
 * @param {HTMLElement} context.view where it is shown
 * @param {HTMLButtonElement} context.roomsButton shows the navigation on a narrow page
 * @param {(text: string) => void} context.announce
 */
export function appView({ chat, store, view, roomsButton, announce }) {
  const sidebar = sidebarView({ chat, store, go, close: () => showNav(false), find, settings: () => openSettings({ chat, store, announce }) });
  const veil = h("div.veil", { onclick: () => showNav(false) });
  /** @type {ReturnType<typeof conversationView> | null} */
  let open = null;
  /** What stands beside the conversation. @type {{ element: HTMLElement, focus: () => void, stop: () => void } | null} */
  let panel = null;
  /** @type {ReturnType<typeof import("./search.js").searchView> | null} */
  let results = null;
  /** What was looked for last. */
  let wanted = "";
  /** @type {number | null} */
  let shown = null;
  let shownThere = false;
  const lastKey = `last:${store.me?.name ?? ""}`;
  const notice = noticeView(chat, store);
  let main = placeholder();
  view.replaceChildren(sidebar.element, veil, main, notice.element);

  /** @param {number} room */
  function go(room) {
    const hash = placeLink(room);
    if (location.hash !== hash) history.pushState(null, "", hash);
    showNav(false);
    route(true);
  }

  /** @param {boolean} [focus] */
  function route(focus = false) {
    const place = readPlace(location.hash);
    const number = place?.room ?? null;
    store.open(number);
    if (number !== null) remember(lastKey, number);
    show(focus, place?.seq ?? null);
  }

  /**
   * @param {boolean} focus whether to put the cursor into the composer
   * @param {number | null} [seq] the message to go to
   */
  function show(focus, seq = null) {
    const there = store.current !== null && store.rooms.has(store.current);
    if (shown !== store.current || there !== shownThere || (!there && !open)) {
      shown = store.current;
      shownThere = there;
      open?.stop();
      open = null;
      // What was found stays beside the places it leads to.
      if (!results) closePanel(false);
      if (there && shown !== null) {
        open = conversationView({ chat, store, number: shown, seq: seq ?? readPlace(location.hash)?.seq ?? null, people: togglePanel, announce });
        swap(open.element);
        open.start();
      } else {
        swap(placeholder());
      }
      if (focus || !touched()) focusComposer(focus);
    } else if (seq !== null) open?.reveal(seq);
    else if (focus) focusComposer(true);
    title();
  }

  /** @param {boolean} wanted */
  function focusComposer(wanted) {
    if (isAsked()) return;
    if (wanted || document.activeElement === document.body) open?.composer.box.focus({ preventScroll: true });
  }

  // In its place the page says where one is, for who hears it.
  const covered = h("main.unseen", h("h1", words.nav.rooms));

  /** @param {HTMLElement} next */
  function swap(next) {
    next.inert = document.body.classList.contains("nav-open");
    // What is said instead of a room is not said anew with all that goes on elsewhere.
    if (!open && next.isEqualNode(main)) return;
    const held = main.contains(document.activeElement);
    main.replaceWith(next);
    main = next;
    // Whoever was in a room hears why it is gone.
    if (held) next.querySelector("h1")?.focus();
  }

  function placeholder() {
    const text = words.empty;
    const element = h("main.conversation.nothing", { id: "conversation" });
    if (store.epoch === null) return element;
    const box = h("div.empty");
    const open_ = store.joinable.find(({ room }) => room === store.current);
    if (open_) {
      box.append(h("h1", { dir: "auto", tabIndex: -1 }, open_.name), h("p", text.joinText), h("button.button.main", { onclick: () => void join(open_.room) }, text.join));
    } else if (store.current !== null) box.append(h("h1", { tabIndex: -1 }, text.gone), h("p", text.goneText));
    else if (store.rooms.size === 0) {
      const first = h("button.button.main", { onclick: () => askNewRoom(chat, go) }, text.first);
      box.append(h("h1", text.noRooms), h("p", text.noRoomsText), first);
    } else box.append(h("h1", text.choose), h("p", text.chooseText));
    const unsent = store.current === null ? "" : readDraft(draftKey(store.me?.name ?? "", store.current)).text;
    if (unsent !== "") box.append(h("h2", text.unsent), h("p.wording", auto, unsent));
    element.append(box);
    return element;
  }

  /** A link has led to a room that is open to all. @param {number} room */
  async function join(room) {
    try {
      await chat.change("join", { room });
    } catch (error) {
      tell(words.empty.join, problemWords(problemOf(error)));
    }
  }

  async function togglePanel() {
    if (panel && !results) return closePanel(true);
    const of = shown;
    const module = await peopleModule();
    if (!module || shown === null || shown !== of) return;
    openPanel(module.peopleView({ chat, store, number: shown, close: () => closePanel(true), announce }));
    panel?.focus();
  }

  /**
   * Looks for messages.
   * @param {string} typed nothing closes the results
   * @param {boolean} asked whether somebody waits for them, or only types
   */
  async function find(typed, asked) {
    wanted = typed;
    if (typed === "") {
      if (results) closePanel(false);
      return;
    }
    if (!results) {
      // Where the results would lie over the list, they come when they are asked for.
      if (!asked && !wide().matches) return;
      const module = await searchModule();
      if (!module || wanted !== typed) return;
      results ??= openPanel(module.searchView({ chat, store, close: () => closePanel(true), announce }));
    }
    if (asked) showNav(false);
    await results.run(typed);
    if (asked) results?.focus();
  }

  /**
   * @template {{ element: HTMLElement, focus: () => void, stop: () => void }} Panel
   * @param {Panel} next
   */
  function openPanel(next) {
    closePanel(false);
    panel = next;
    main.after(next.element);
    document.body.classList.add("with-panel");
    return next;
  }

  /** @param {boolean} focus */
  function closePanel(focus) {
    if (!panel) return;
    const back = results ? sidebar.searchBox : document.getElementById("people-button");
    if (results) sidebar.clear();
    panel.stop();
    panel.element.remove();
    panel = results = null;
    document.body.classList.remove("with-panel");
    if (focus) (back?.checkVisibility() ? back : open?.composer.box)?.focus();
  }

  /** @param {boolean} visible */
  function showNav(visible) {
    const was = document.body.classList.contains("nav-open");
    document.body.classList.toggle("nav-open", visible);
    roomsButton.setAttribute("aria-expanded", String(visible));
    // What lies under the navigation is out of reach meanwhile.
    for (const part of [main, notice.element, panel?.element]) if (part) part.inert = visible;
    if (visible) sidebar.element.before(covered);
    else covered.remove();
    if (visible && !was && matchMedia("(pointer: fine)").matches) sidebar.searchBox.focus();
    if (!visible && was && sidebar.element.contains(document.activeElement)) roomsButton.focus();
  }

  function title() {
    const { count, mentions } = store.unread;
    const room = store.current === null ? undefined : store.rooms.get(store.current);
    const called = mentions > 0 ? ` @${amount(mentions)}` : "";
    document.title = `${count > 0 ? `(${amount(count)}${called}) ` : ""}${room ? `${store.title(room)} – ` : ""}${words.product}`;
  }

  /** @param {KeyboardEvent} event */
  function keys(event) {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (!isAsked()) openSwitcher({ chat, store, go });
    } else if (event.altKey && !event.ctrlKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      const entries = /** @type {HTMLElement[]} */ ([...sidebar.element.querySelectorAll("a.entry")]);
      const at = entries.findIndex((entry) => Number(entry.dataset.room) === store.current);
      const next = entries[(at + (event.key === "ArrowDown" ? 1 : -1) + entries.length) % entries.length];
      if (!next) return;
      event.preventDefault();
      go(Number(next.dataset.room));
    } else if (event.key === "Escape" && !event.defaultPrevented && !isAsked()) {
      if (document.body.classList.contains("nav-open")) showNav(false);
      else open?.composer.box.focus();
    }
  }

  // On a wide page it lies over nothing.
  // A room may come or go, also the open one.
  const asked = soon(() => {
    show(false);
    if (!open) swap(placeholder());
  });
  const offs = [
    store.on("rooms", asked),
    store.on("current", asked),
    on(wide(), "change", () => wide().matches && showNav(false)),
    on(roomsButton, "click", () => showNav(true)),
    on(window, "popstate", () => route(false)),
    on(window, "keydown", keys),
  ];

  if (location.hash === "" && wide().matches) {
    const last = recall(lastKey);
    if (typeof last === "number") history.replaceState(null, "", placeLink(last));
  }
  route(false);
  return {
    stop() {
      offs.forEach((off) => off());
      open?.stop();
      closePanel(false);
      sidebar.stop();
      notice.stop();
      showNav(false);
      history.replaceState(null, "", location.pathname);
    },
  };
}

/**
 * What the state of the connection means for the one who writes, in its own row above the foot of the page.
 * @param {import("../chat.js").Chat} chat
 * @param {import("../store.js").Store} store
 */
function noticeView(chat, store) {
  const NOTICE_MS = 3000;
  const element = h("section.notice", { "aria-label": words.notice.label, hidden: true });
  let since = 0;
  const update = () => {
    const { phase, quorum } = store.status;
    const text = words.notice;
    const fine = phase === "connected" && quorum;
    const lost = phase === "lost" || phase === "connecting";
    if (!lost) since = 0;
    else if (since === 0) {
      since = Date.now();
      setTimeout(update, NOTICE_MS + 50);
    }
    const quiet = fine || (lost && Date.now() - since < NOTICE_MS);
    element.hidden = quiet;
    if (quiet) return element.replaceChildren();
    const words_ = phase === "stopped" ? text.stopped : lost ? text.lost : text.noMajority;
    if (element.firstChild?.textContent === words_) return;
    element.replaceChildren(h("span", words_));
    if (phase === "stopped") element.append(h("button.button.small", { onclick: () => chat.connectAgain() }, text.connect));
  };
  const off = store.on("status", update);
  update();
  return { element, stop: off };
}
