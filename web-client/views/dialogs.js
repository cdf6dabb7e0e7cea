/** The questions this page asks: a new room, a new direct conversation, and those before harm. */

import { auto, h, on, write } from "../dom.js";
import { newId } from "../ids.js";
import { words } from "../words.js";
import { fullName } from "./avatar.js";
import { refusedAs } from "./controls.js";
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
 * The room that was asked for is there.
 * @param {import("./dialog.js").Dialog} dialog
 * @param {(room: number) => void} go
 */
const opened = (dialog, go) => (/** @type {{ room: import("../types.js").Room | null }} */ { room }) => {
  dialog.close();
  if (room) go(room.room);
};

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
    heading: words.nav.newRoom,
    body: [name.element, kind.element, topic.element],
    action: text.create,
    async act(dialog) {
      const wanted = name.input.value.trim();
      if (wanted === "") return dialog.complain(text.missing, name.input);
      if ([...wanted].length > ROOM_NAME_MAX) return dialog.complain(text.long, name.input);
      const about = topic.input.value.trim();
      const fields = { name: wanted, kind: kind.value, ...(about ? { topic: about } : {}) };
      await chat.change("create_room", fields, idFor(fields)).then(opened(dialog, go), refusedAs("conflict", () => dialog.complain(text.taken, name.input)));
    },
  });
}

/**
 * People whose names begin to stand in a box; a press on one puts the name there.
 * @param {import("../chat.js").Chat} chat
 * @param {import("../store.js").Store} store
 * @param {HTMLInputElement} input
 * @param {(name: string) => boolean} [fit] whom it may be
 */
export function suggestions(chat, store, input, fit = () => true) {
  const found = h("ul.suggestions");
  const suggest = () => {
    const typed = input.value.split(/[,\s]+/);
    const last = (typed.pop() ?? "").toLowerCase();
    void chat.reader.findUsers(last)?.then(() => found.isConnected && suggest());
    const people = [...store.users.values()].filter((user) => user.name !== store.me?.name && !user.deleted && !typed.includes(user.name) && fit(user.name));
    const fits = people.filter((user) => user.name !== last && (user.name.includes(last) || user.display.toLowerCase().includes(last)));
    const rows = fits.sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, 5);
    const take = (/** @type {string} */ who) => {
      input.value = [...typed, who].filter(Boolean).join(", ");
      input.focus();
      suggest();
    };
    found.replaceChildren(...rows.map((user) => h("li", h("button.chip", { onclick: () => take(user.name) }, fullName(user)))));
  };
  on(input, "input", suggest);
  suggest();
  return found;
}

/**
 * @param {import("../chat.js").Chat} chat
 * @param {import("../store.js").Store} store
 * @param {(room: number) => void} go
 */
export function askNewDirect(chat, store, go) {
  const text = words.newDirect;
  const name = field(words.login.name, { autocapitalize: "none", spellcheck: "false" }, text.hint);
  const idFor = steadyId();
  openDialog({
    heading: words.nav.newDirect,
    body: [name.element, suggestions(chat, store, name.input)],
    action: text.start,
    async act(dialog) {
      const users = [...new Set(name.input.value.toLowerCase().split(/[,\s]+/).filter(Boolean))].slice(0, DIRECT_OTHERS_MAX);
      if (users.length === 0) return dialog.complain(text.missing, name.input);
      await chat.change("open_direct", { users }, idFor(users)).then(opened(dialog, go), refusedAs("not_found bad_request", () => dialog.complain(text.unknown, name.input)));
    },
  });
}

/**
 * A question before harm.
 * @param {{ heading: string, text: string, yes: string, no?: string, act: () => Promise<unknown> | void }} what
 */
export function askFirst({ heading, text: what, yes, no = words.ask.keep, act }) {
  openDialog({
    heading,
    body: [h("p", what)],
    action: yes,
    keep: no,
    harm: true,
    async act(dialog) {
      await act();
      dialog.close();
    },
  });
}

/**
 * Something that one should know.
 * @param {string} heading
 * @param {string} what
 */
export function tell(heading, what) {
  openDialog({ heading, body: [h("p", what)] });
}

/**
 * Puts text where a paste finds it. Without a clipboard (plain http in a network) it is shown, selected, for the person's own copy.
 * @param {string} text
 * @param {() => void} done says so
 */
export async function copy(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    done();
  } catch {
    const box = h("textarea", { readonly: true, rows: 4, value: text, "aria-label": words.message.copyHere });
    openDialog({ heading: words.message.copyHere, body: [box] });
    box.select();
  }
}

/**
 * A button that copies, and says when it has.
 * @param {string} text
 */
export function copyButton(text) {
  const label = h("span", { "aria-live": "polite" }, words.message.copy);
  return h("button.button.small", { onclick: () => copy(text, () => write(label, words.message.copied)) }, label);
}

/**
 * What was refused in rooms one is no longer in, so that it is not lost.
 * @param {import("../chat.js").Chat} chat
 * @param {import("../types.js").Item[]} items
 */
export function showStray(chat, items) {
  const rows = items.map((item) => {
    const discard = () => {
      chat.discard(item.id);
      row.remove();
    };
    const written = item.fields.text ?? "";
    const row = h(
      "li.stray",
      h("p.text", auto, written),
      h(
        "div.row",
        copyButton(written),
        h("button.button.small", { onclick: discard }, words.message.remove),
      ),
    );
    return row;
  });
  openDialog({
    heading: words.message.failed,
    body: [h("p", words.stray.text), h("ul.strays", ...rows)],
  });
}
