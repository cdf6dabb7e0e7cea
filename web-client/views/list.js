/**
 * The conversation: a `log` of `article`s. It owns where the reader is: at the end it stays at the end, elsewhere nothing
 * that arrives moves what is being read.
 *
 * @typedef {import("../pending.js").Shown} Shown
 */

import { boxOf, h, keyed, on, write } from "../dom.js";
import { icon } from "../icons.js";
import { words } from "../words.js";
import { arrows } from "./controls.js";
import { createEntry, entriesOf } from "./entries.js";
import { updateMessage } from "./message.js";

const END_PX = 24;
const SCREENS_AHEAD = 1.5;
/** More than this in so many seconds, and the room is too busy to be read out. */
const CALM_MESSAGES = 3;
const CALM_MS = 5000;
const FLASH_MS = 1600;

/**
 * @param {object} context
 * @param {import("./message.js").Acts} context.acts
 * @param {() => Promise<boolean>} context.loadOlder
 * @param {() => Promise<boolean>} context.loadNewer
 * @param {() => Promise<boolean>} context.loadNewest brings the room's end into view
 * @param {() => void} context.moved the reader scrolled, or stands at the end again
 * @param {(text: string) => void} context.announce
 */
export function messageList({ acts, loadOlder, loadNewer, loadNewest, moved, announce }) {
  const inner = h("div.log-inner");
  const log = h("div.log", { role: "log", "aria-live": "off", tabIndex: -1 }, inner);
  const pill = h("button.pill", { hidden: true, onclick: () => toEnd() }, icon("down"), h("span"));
  const element = h("div.log-frame", log, pill);

  let sticking = true;
  let placed = false;
  let loading = false;
  let top = false;
  let newBelow = 0;
  /** Whether the last message shown is the room's last. */
  let latest = true;
  let lastSeq = 0;
  let count = 0;
  /** @type {number[]} */
  let arrivals = [];
  /** @type {string | null} */
  let roving = null;
  /** @type {Map<string, Shown>} */
  let byKey = new Map();

  const below = () => log.scrollHeight - log.scrollTop - log.clientHeight;
  const atEnd = () => latest && below() <= END_PX;
  let height = 0;
  let frame = 0;
  const stick = () => {
    log.scrollTop = log.scrollHeight;
    height = log.scrollHeight;
    frame = log.clientHeight;
  };
  const showPill = () => {
    const text = newBelow > 0 ? words.room.pill(newBelow) : words.room.toEnd;
    pill.hidden = sticking || !placed || (newBelow === 0 && latest && below() < log.clientHeight);
    const label = /** @type {HTMLElement} */ (pill.lastElementChild);
    write(label, text);
    pill.classList.toggle("quiet", newBelow === 0);
  };

  async function toEnd() {
    if (!latest) {
      await loadNewest();
      if (!element.isConnected) return;
    }
    sticking = true;
    stick();
    newBelow = 0;
    showPill();
    moved();
    if (document.activeElement === pill) focusLast();
  }

  async function maybeMore() {
    if (loading || !placed) return;
    const ahead = log.clientHeight * SCREENS_AHEAD;
    const older = !top && log.scrollTop <= ahead;
    if (!older && (latest || below() > ahead)) return;
    loading = true;
    const more = await (older ? loadOlder() : loadNewer());
    loading = false;
    // A failed try is repeated when the reader scrolls on, not by itself.
    if (more && element.isConnected) requestAnimationFrame(maybeMore);
  }

  on(log, "scroll", () => {
    const end = atEnd();
    // Not the reader moved but what is around: a window became narrower, a message above got its true height.
    if (sticking && !end && (log.scrollHeight !== height || log.clientHeight !== frame)) return stick();
    sticking = end;
    if (end) newBelow = 0;
    moved();
    showPill();
    void maybeMore();
  }, { passive: true });
  // What grows late (a picture, a longer state, a narrower window) does not push the end out of sight.
  const observer = new ResizeObserver(() => {
    if (sticking && placed && latest) stick();
    showPill();
  });
  observer.observe(inner);
  observer.observe(log);

  /**
   * @param {object} now
   * @param {Shown[]} now.shown
   * @param {number | null} now.newFrom
   * @param {boolean} now.loaded
   * @param {boolean} now.latest whether the room's last message is among them
   * @param {number} now.lastSeq of the room
   * @param {string} now.beginning words for the room's first line
   * @param {(seq: number) => { name: string, text: string } | null} now.quote
   * @param {string} now.me
   */
  function update({ shown, newFrom, loaded, latest: isLatest, lastSeq: newest, beginning, quote, me }) {
    const entries = entriesOf(shown, isLatest, newFrom, beginning, quote, acts);
    byKey = new Map(shown.map((one) => [one.key, one]));
    top = shown[0]?.message.seq === 1 || (loaded && shown.length === 0);
    // What came meanwhile; it is among those shown only when they end with the newest.
    const arrived = placed ? Math.max(0, newest - lastSeq) : 0;
    const own = arrived > 0 ? shown.filter((one) => one.message.seq > lastSeq && one.message.from === me).length : 0;
    const fresh = arrived - own;
    latest = isLatest;
    const ownNew = placed && shown.length > count && shown.at(-1)?.message.from === me && shown.at(-1)?.state === "sending";
    listen(fresh);
    const anchor = sticking && latest ? null : firstVisible();
    keyed(inner, entries, {
      key: (entry) => entry.key,
      create: createEntry,
      update(row, entry) {
        if (entry.kind === "message") updateMessage(row, entry.row, acts);
        else if (row.lastElementChild) write(row.lastElementChild, entry.text);
      },
    });
    lastSeq = Math.max(lastSeq, newest);
    count = shown.length;
    rove();
    if (!placed && loaded) place(newFrom);
    else if (ownNew) {
      // In sight at once, also when the room's end cannot be had now.
      stick();
      void toEnd();
    }
    else if (sticking && latest) stick();
    else if (anchor) {
      const moved_ = boxOf(anchor.element).top - anchor.top;
      if (Math.abs(moved_) >= 1) log.scrollTop += moved_;
      newBelow += fresh;
    }
    showPill();
    if (placed) requestAnimationFrame(maybeMore);
  }

  /** The seq of the last message that is wholly in view. */
  function lastVisible() {
    const { bottom } = boxOf(log);
    const rows = inner.children;
    let [low, high] = [0, rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (boxOf(rows[middle]).bottom <= bottom + 1) low = middle + 1;
      else high = middle;
    }
    for (let at = low - 1; at >= 0; at--) {
      const row = rows[at];
      if (row instanceof HTMLElement && Number(row.dataset.seq) > 0) return Number(row.dataset.seq);
    }
    return 0;
  }

  /** Where reading begins: at the first unread, else at the end. @param {number | null} newFrom */
  function place(newFrom) {
    placed = true;
    stick();
    const line = newFrom === null ? null : inner.querySelector(".fresh");
    if (line instanceof HTMLElement) {
      toLine(line);
      // Again with the true heights of what has come into view.
      requestAnimationFrame(() => !sticking && toLine(line));
    }
    sticking = atEnd();
    moved();
  }

  /** @param {HTMLElement} line */
  function toLine(line) {
    const below = boxOf(line).top - boxOf(log).top;
    const wanted = log.clientHeight / 4;
    if (below < wanted) log.scrollTop += below - wanted;
  }

  function firstVisible() {
    const { top: edge } = boxOf(log);
    for (const child of inner.children) {
      const box = boxOf(child);
      if (box.bottom > edge && child.tagName === "ARTICLE") return { element: child, top: box.top };
    }
    return null;
  }

  /**
   * New messages are read out one by one while the room is calm, and only counted when it is not.
   * @param {number} fresh
   */
  function listen(fresh) {
    if (fresh === 0) {
      // What one loads or writes oneself is not read out.
      if (Date.now() - (arrivals.at(-1) ?? 0) > 500) log.setAttribute("aria-live", "off");
      return;
    }
    const time = Date.now();
    arrivals = [...arrivals.filter((then) => time - then < CALM_MS), ...Array(Math.min(fresh, 50)).fill(time)];
    const calm = arrivals.length <= CALM_MESSAGES;
    log.setAttribute("aria-live", calm ? "polite" : "off");
    if (!calm || !latest) announce(words.room.arrived(arrivals.length));
  }

  /** One article is in the order of the tab key: the one last visited, else the last. */
  function rove() {
    const articles = /** @type {HTMLElement[]} */ ([...inner.querySelectorAll(":scope > article")]);
    const chosen = articles.find((article) => article.dataset.key === roving) ?? articles.at(-1);
    for (const article of articles) if (article.tabIndex !== (article === chosen ? 0 : -1)) article.tabIndex = article === chosen ? 0 : -1;
  }

  function focusLast() {
    const last = /** @type {HTMLElement | undefined} */ ([...inner.querySelectorAll(":scope > article")].at(-1));
    last?.focus({ preventScroll: true });
  }

  on(inner, "focusin", (event) => {
    const article = event.target instanceof Element ? event.target.closest("article") : null;
    if (!(article instanceof HTMLElement) || article.dataset.key === roving) return;
    roving = article.dataset.key ?? null;
    rove();
  });
  on(inner, "keydown", (event) => arrows(event, inner, ":scope > article"));

  return {
    element,
    log,
    update,
    toEnd,
    /** Whether the last of what is shown is in view. */
    get low() {
      return placed && below() <= END_PX;
    },
    focusLast,
    find: (/** @type {string} */ key) => byKey.get(key),
    get atEnd() {
      return placed && sticking && latest;
    },
    /** Down to which message everything has been in view. */
    get seen() {
      return placed ? lastVisible() : 0;
    },
    /** @param {number} seq */
    reveal(seq) {
      const article = inner.querySelector(`article[data-seq="${seq}"]`);
      if (!(article instanceof HTMLElement)) return false;
      placed = true;
      sticking = false;
      article.scrollIntoView({ block: "center" });
      // Again with the true heights of what has come into view.
      requestAnimationFrame(() => article.scrollIntoView({ block: "center" }));
      article.focus({ preventScroll: true });
      article.classList.add("flash");
      setTimeout(() => article.classList.remove("flash"), FLASH_MS);
      return true;
    },
    stop: () => observer.disconnect(),
  };
}
