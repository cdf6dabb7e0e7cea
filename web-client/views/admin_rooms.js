/** For admins: all rooms, private ones too, by name; to be renamed. */

import { h, unseen } from "../dom.js";
import { list, readRoom } from "../frames.js";
import { icon } from "../icons.js";
import { problemOf } from "../refusal.js";
import { settingsWords } from "../settings_words.js";
import { problemWords, words } from "../words.js";
import { field } from "./dialog.js";
import { editRoom } from "./edit_room.js";

const SHOWN = 200;

/**
 * @param {import("./settings.js").Context} context
 * @returns {import("./settings.js").Section}
 */
export function adminRoomsView({ chat }) {
  const text = settingsWords.admin;
  const wanted = field(text.findRoom, { type: "search", spellcheck: "false" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const note = h("p", { class: "hint" });
  const rows = h("ul", { class: "rows" });
  const element = h("div", { class: "settings-body" }, h("h3", {}, settingsWords.settings.tabs.rooms), wanted.element, problem, rows, note);
  /** @type {import("../types.js").Room[]} */
  let rooms = [];

  async function load() {
    problem.hidden = true;
    try {
      const reply = await chat.ask("list_rooms", { all: true });
      rooms = list(reply.rooms).map(readRoom).filter((room) => room !== null).filter((room) => room.kind !== "direct");
      rooms.sort((a, b) => a.name.localeCompare(b.name));
      show();
    } catch (error) {
      problem.textContent = problemWords(problemOf(error));
      problem.hidden = false;
    }
  }

  function show() {
    const typed = wanted.input.value.trim().toLowerCase();
    const fits = rooms.filter((room) => room.name.toLowerCase().includes(typed));
    note.textContent = fits.length > SHOWN ? text.narrow(SHOWN, fits.length) : "";
    rows.replaceChildren(
      ...fits.slice(0, SHOWN).map((room) =>
        h(
          "li",
          { class: "row-item" },
          icon(room.kind === "private" ? "lock" : "hash"),
          h("div", { class: "row-main" }, h("span", { dir: "auto" }, room.name), h("span", { class: "hint", dir: "auto" }, [words.room[room.kind], room.topic].filter(Boolean).join(" – "))),
          h("button", { type: "button", class: "button small", onclick: () => editRoom(chat, room, load) }, text.rename, unseen(` ${room.name}`)),
        ),
      ),
    );
  }
  wanted.input.addEventListener("input", show);
  void load();
  return { element };
}
