/** What a search found: each message with its hits marked, its author, room and time, and the way to its place. */

import { auto, h, on, pressed, wide, write } from "../dom.js";
import { icon } from "../icons.js";
import { jump, placeLink } from "../jump.js";
import { excerpt, namedBy, readQuery, unmarked } from "../query.js";
import { Search } from "../search.js";
import { shortTime } from "../time.js";
import { problemWords, words } from "../words.js";
import { arrows, busyAt, iconButton, problemLine, timeView } from "./controls.js";

const BEFORE_CHARACTERS = 60;
const CHARACTERS = 240;

/**
 * @param {object} context
 * @param {import("../chat.js").Chat} context.chat
 * @param {import("../store.js").Store} context.store
 * @param {() => void} context.close
 * @param {(text: string) => void} context.announce
 */
export function searchView({ chat, store, close, announce }) {
  const text = words.search;
  const search = new Search({
    ask: (op, fields) => chat.ask(op, fields),
    rooms: () => [...store.rooms.values()].map((room) => ({ room: room.room, title: store.title(room) })),
    me: () => store.me?.name ?? "",
  });
  const note = h("p.hint");
  const problem = problemLine();
  const hits = h("ol.hits");
  const more = h("button.button.small", { hidden: true, onclick: () => further() }, text.more);
  const closeButton = iconButton("close", text.close, close);
  const element = h(
    "aside.panel.results",
    { "aria-label": text.heading },
    h("div.panel-head", h("h2", text.heading), closeButton),
    note,
    problem.element,
    hits,
    more,
    h("p.hint.tips", text.tips),
  );
  let typed = "";

  /** @param {string} wanted */
  async function run(wanted) {
    typed = wanted;
    more.hidden = true;
    busyAt(element, true);
    const page = await search.find(wanted);
    if (!page) return;
    hits.replaceChildren();
    show(page, false);
  }

  async function further() {
    busyAt(more, true);
    const page = await search.find(typed, true);
    busyAt(more, false);
    if (page) show(page, true);
  }

  /**
   * @param {import("../search.js").Page} page
   * @param {boolean} added
   */
  function show(page, added) {
    busyAt(element, false);
    const rows = page.hits.map((hit) => h("li", row(hit)));
    hits.append(...rows);
    more.hidden = !page.more;
    if (page.problem) problem.say(problemText(page.problem));
    else problem.clear();
    const count = hits.children.length;
    write(note, page.problem ? "" : `${text.count(count, page.more)}${page.partial ? ` ${text.partial}` : ""}`);
    note.hidden = note.textContent === "";
    if (added) rows[0]?.querySelector("a")?.focus();
    else if (note.textContent) announce(note.textContent);
  }

  /** @param {NonNullable<import("../search.js").Page["problem"]>} what */
  function problemText(what) {
    if (what === "no word") return text.noWord;
    if (what === "no room") return text.noRoom;
    return problemWords(what);
  }

  /** @param {import("../search.js").Hit} hit */
  function row({ message, hit }) {
    const room = store.rooms.get(message.room);
    const said = unmarked(message.text, hit);
    const { text: sought } = readQuery(typed);
    const files = message.files.map(({ name }) => ({ name, hits: namedBy(name, sought) }));
    // Found by a file's name, whichever it is.
    const found = files.filter(({ hits }) => hits.length > 0);
    const shown = hit.length === 0 && found.length === 0 ? files : found;
    return h(
      "a.hit",
      {
        href: placeLink(message.room, message.seq),
        onclick: pressed(() => {
          // On a narrow page the results lie over the place that is wanted.
          if (!wide().matches) close();
          jump(message.room, message.seq);
        }),
      },
      h(
        "span.hit-head",
        h("span.author", auto, store.display(message.from)),
        " ",
        h("span.hint", auto, room ? store.title(room) : ""),
        " ",
        timeView(message.time, shortTime(message.time), ".hint"),
      ),
      said.text !== "" && h("span.hit-text", auto, ...marked(said.text, said.hits)),
      ...shown.map(({ name, hits }) => h("span.hit-text", auto, icon("file"), " ", ...marked(name, hits))),
    );
  }

  /**
   * @param {string} said
   * @param {[number, number][]} hits
   */
  function marked(said, hits) {
    return excerpt(said, hits, BEFORE_CHARACTERS, CHARACTERS).map((piece) => (piece.hit ? h("mark", piece.text) : piece.text));
  }

  on(element, "keydown", (event) => {
    if (event.key === "Escape") return close();
    arrows(event, hits, "a");
  });
  return {
    element,
    run,
    focus: () => (hits.querySelector("a") ?? closeButton).focus(),
    stop: () => undefined,
  };
}
