/** The questions this page asks: a new room, a new direct conversation, and those before harm. */

import { h } from "../dom.js";
import { newId } from "../ids.js";
import { problemOf } from "../refusal.js";
import { problemWords, words } from "../words.js";
import { choice, field, openDialog } from "./dialog.js";

export const ROOM_NAME_MAX = 64;
const DIRECT_OTHERS_MAX = 8;

/**
 * An id that stays the same as long as the same is asked for: a repeat after a lost answer is done once.
 */
export function steadyId() {
  let last = "";
  let id = "";
  return (/** @type {unknown} */ what) => {
    const now = JSON.stringify(what);
    if (now !== last) {
      last = now;
      id = newId();
    }
    return id;
  };
}

/**
 * @param {import("../chat.js").Chat} chat
 * @param {(room: number) => void} go
 */
export function askNewRoom(chat, go) {
  const text = words.newRoom;
  const name = field(text.name, { maxLength: 200 });
  const topic = field(text.topic, { maxLength: 200 });
  const kind = choice(text.kind, "kind", [
    { value: "public", label: text.public, note: text.publicNote },
    { value: "private", label: text.private, note: text.privateNote },
  ]);
  const idFor = steadyId();
  openDialog({
    heading: text.heading,
    body: [name.element, kind.element, topic.element],
    action: text.create,
    async act(dialog) {
      const wanted = name.input.value.trim();
      if (wanted === "") return dialog.complain(text.missing, name.input);
      if ([...wanted].length > ROOM_NAME_MAX) return dialog.complain(text.long, name.input);
      const about = topic.input.value.trim();
      const fields = { name: wanted, kind: kind.value, ...(about ? { topic: about } : {}) };
      try {
        const { room } = await chat.change("create_room", fields, idFor(fields));
        dialog.close();
        if (room) go(room.room);
      } catch (error) {
        const problem = problemOf(error);
        if (problem.code === "conflict") dialog.complain(text.taken, name.input);
        else dialog.complain(problemWords(problem));
      }
    },
  });
}

/**
 * @param {import("../chat.js").Chat} chat
 * @param {import("../store.js").Store} store
 * @param {(room: number) => void} go
 */
export function askNewDirect(chat, store, go) {
  const text = words.newDirect;
  const name = field(text.name, { autocapitalize: "none", spellcheck: "false" }, text.hint);
  const found = h("ul", { class: "suggestions" });
  const suggest = () => {
    const typed = name.input.value.split(/[,\s]+/);
    const last = (typed.pop() ?? "").toLowerCase();
    const people = [...store.users.values()].filter((user) => user.name !== store.me?.name && !user.deleted && !typed.includes(user.name));
    const fit = people.filter((user) => user.name !== last && (user.name.includes(last) || user.display.toLowerCase().includes(last)));
    const rows = fit.sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, 5);
    found.replaceChildren(
      ...rows.map((user) =>
        h(
          "li",
          {},
          h(
            "button",
            {
              type: "button",
              class: "chip",
              onclick: () => {
                name.input.value = [...typed, user.name].filter(Boolean).join(", ");
                name.input.focus();
                suggest();
              },
            },
            user.display === user.name ? user.name : `${user.display} (${user.name})`,
          ),
        ),
      ),
    );
  };
  name.input.addEventListener("input", suggest);
  suggest();
  const idFor = steadyId();
  openDialog({
    heading: text.heading,
    body: [name.element, found],
    action: text.start,
    async act(dialog) {
      const users = [...new Set(name.input.value.toLowerCase().split(/[,\s]+/).filter(Boolean))].slice(0, DIRECT_OTHERS_MAX);
      if (users.length === 0) return dialog.complain(text.missing, name.input);
      try {
        const { room } = await chat.change("open_direct", { users }, idFor(users));
        dialog.close();
        if (room) go(room.room);
      } catch (error) {
        const problem = problemOf(error);
        const unknown = problem.code === "not_found" || problem.code === "bad_request";
        dialog.complain(unknown ? text.unknown : problemWords(problem), name.input);
      }
    },
  });
}

/**
 * A question before harm.
 * @param {{ heading: string, text: string, yes: string, no: string, act: () => Promise<unknown> | void }} what
 */
export function askFirst({ heading, text, yes, no, act }) {
  openDialog({
    heading,
    body: [h("p", {}, text)],
    action: yes,
    keep: no,
    harm: true,
    async act(dialog) {
      try {
        await act();
        dialog.close();
      } catch (error) {
        dialog.complain(problemWords(problemOf(error)));
      }
    },
  });
}

/**
 * Something that one should know.
 * @param {string} heading
 * @param {string} text
 * @param {string} close the name of the button
 */
export function tell(heading, text, close) {
  openDialog({ heading, body: [h("p", {}, text)], action: close, act: (dialog) => dialog.close() });
}

/**
 * What was refused in rooms one is no longer in, so that it is not lost.
 * @param {import("../chat.js").Chat} chat
 * @param {import("../types.js").Item[]} items
 */
export function showStray(chat, items) {
  const rows = items.map((item) => {
    const row = h(
      "li",
      { class: "stray" },
      h("p", { class: "text", dir: "auto" }, item.fields.text ?? ""),
      h(
        "div",
        { class: "row" },
        h("button", { type: "button", class: "button small", onclick: () => navigator.clipboard?.writeText(item.fields.text ?? "") }, words.message.copy),
        h(
          "button",
          {
            type: "button",
            class: "button small",
            onclick: () => {
              chat.discard(item.id);
              row.remove();
            },
          },
          words.message.discard,
        ),
      ),
    );
    return row;
  });
  openDialog({
    heading: words.stray.heading,
    body: [h("p", {}, words.stray.text), h("ul", { class: "strays" }, ...rows)],
    action: words.stray.close,
    act: (dialog) => dialog.close(),
  });
}
