/** All emoji, to look through or to find by name. The focus stays in the search box; arrows move over the grid. */

import { emojiGroups, findEmoji, spoken } from "../emoji.js";
import { h, on, write } from "../dom.js";
import { recall, remember } from "../db.js";
import { words } from "../words.js";
import { choosing, showDialog, staying } from "./controls.js";
import { place } from "./menu.js";

const COLUMNS = 8;
const RECENT_MAX = 16;
const FOUND_MAX = 64;

/**
 * @param {HTMLElement} opener gets the focus back, when nothing is taken
 * @param {(emoji: string) => void} take
 * @param {{ left: number, right: number, top: number, bottom: number }} [at] where it is put; else at the opener
 */
export function pickEmoji(opener, take, at = opener.getBoundingClientRect()) {
  const text = words.emoji;
  const input = h("input.picker-search", {
    type: "text", role: "combobox", "aria-label": text.find, placeholder: text.find, "aria-expanded": "true",
    "aria-controls": "emoji-grid", "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false",
  });
  const grid = h("div.emoji-grid", { id: "emoji-grid", role: "listbox", "aria-label": text.label });
  const name = h("p.hint.picker-name", { "aria-hidden": "true" });
  const element = h("dialog.picker", { "aria-label": text.label }, input, grid, name);
  /** @type {HTMLElement[]} */
  let options = [];
  let chosen = 0;

  const mark = choosing(input, grid);
  const choose = (/** @type {number} */ index) => {
    chosen = Math.max(0, Math.min(options.length - 1, index));
    mark(chosen);
    write(name, options[chosen]?.title ?? text.none);
  };
  const done = (/** @type {string} */ emoji) => {
    const recent = recent_().filter((other) => other !== emoji);
    remember("emoji", [emoji, ...recent].slice(0, RECENT_MAX));
    element.close();
    take(emoji);
  };
  const update = () => {
    const typed = input.value.trim();
    const found = typed === "" ? all() : findEmoji(typed, FOUND_MAX);
    options = found.map((one, at) =>
      h(
        "div.emoji-option",
        {
          role: "option", id: `emoji-${at}`, "aria-label": spoken(one.name), title: spoken(one.name), "aria-selected": "false",
          onmousedown: staying,
          onclick: () => done(one.emoji),
        },
        one.emoji,
      ),
    );
    grid.replaceChildren(...options);
    choose(0);
  };
  on(input, "input", update);
  on(input, "keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -COLUMNS, ArrowDown: COLUMNS }[event.key];
    if (step !== undefined) choose(chosen + step);
    else if (event.key === "Enter") options[chosen]?.click();
    else return;
    event.preventDefault();
  });
  showDialog(element, opener);
  update();
  place(element, at);
  input.focus();
}

/** The ones used last, then all. */
function all() {
  const every = emojiGroups().flat();
  const recent = recent_();
  const first = recent.flatMap((emoji) => every.find((one) => one.emoji === emoji) ?? []);
  return [...first, ...every.filter((one) => !recent.includes(one.emoji))];
}

/** @returns {string[]} */
function recent_() {
  const kept = recall("emoji");
  return Array.isArray(kept) ? kept.filter((emoji) => typeof emoji === "string") : [];
}
