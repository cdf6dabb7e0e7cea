/** For admins: all rooms, private ones too, by name; to be renamed. */

import { auto, h, on, unseen, write } from "../dom.js";
import { readRooms } from "../frames.js";
import { icon } from "../icons.js";
import { settingsWords } from "../settings_words.js";
import { words } from "../words.js";
import { problemLine } from "./controls.js";
import { field } from "./dialog.js";
import { editRoom } from "./edit_room.js";

const SHOWN = 200;

/**
 * @param {import("./settings.js").Context} context
 * @returns {import("./settings.js").Section}
 */
export function adminRoomsView({ chat }) {
  const text = settingsWords.admin;
  const wanted = field(text.find, { type: "search", spellcheck: "false" });
  const problem = problemLine();
  const note = h("p.hint");
  const rows = h("ul.rows");
  const element = h("div.settings-body", h("h3", settingsWords.settings.tabs.rooms), wanted.element, problem.element, rows, note);
  /** @type {import("../types.js").Room[]} */
  let rooms = [];

  const load = () =>
    problem.attempt(async () => {
      const reply = await chat.ask("list_rooms", { all: true });
      rooms = readRooms(reply.rooms).filter(({ kind }) => kind !== "direct");
      rooms.sort((a, b) => a.name.localeCompare(b.name));
      show();
    });

  function show() {
    const typed = wanted.input.value.trim().toLowerCase();
    const fits = rooms.filter((room) => room.name.toLowerCase().includes(typed));
    write(note, fits.length > SHOWN ? text.narrow(SHOWN, fits.length) : "");
    rows.replaceChildren(
      ...fits.slice(0, SHOWN).map((room) =>
        h(
          "li.row-item",
          icon(room.kind === "private" ? "lock" : "hash"),
          h("div.row-main", h("span", auto, room.name), h("span.hint", auto, [words.kinds[room.kind], room.topic].filter(Boolean).join(" – "))),
          h("button.button.small", { onclick: () => editRoom(chat, room, load) }, text.rename, unseen(` ${room.name}`)),
        ),
      ),
    );
  }
  on(wanted.input, "input", show);
  void load();
  return { element };
}
