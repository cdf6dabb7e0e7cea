/** A room's programs: what writes into it from outside, and where its messages are posted. */

import { auto, h, unseen } from "../dom.js";
import { list } from "../frames.js";
import { settingsWords, speakSettings } from "../settings_words.js";
import { fullTime } from "../time.js";
import { words } from "../words.js";
import { iconButton, problemLine, refusedAs, showDialog } from "./controls.js";
import { field } from "./dialog.js";
import { askFirst, steadyId } from "./dialogs.js";
import { form } from "./form.js";
import { showLink } from "./link_box.js";

/**
 * @typedef {object} Kind  of programs
 * @property {string} heading
 * @property {string} note
 * @property {string} label of the box in which a new one is named
 * @property {string} action makes it
 * @property {string} refused why there cannot be another one like that
 * @property {string} removing what comes of removing one
 * @property {(typed: string, id: string) => Promise<{ label: string, value: string }>} make tells what is told of it once
 * @property {() => Promise<any[]>} all
 * @property {(one: any) => string} name
 * @property {(one: any) => string} state
 * @property {(one: any) => Promise<unknown>} remove
 *
 * @param {import("../chat.js").Chat} chat
 * @param {{ room: number, name: string }} room
 * @param {() => number} lastSeq the number of its last message
 */
export async function openPrograms(chat, { room, name: title }, lastSeq) {
  await speakSettings();
  const text = settingsWords.programs;
  // The page behind a dialog is silent, so what happens in it is told in it.
  const told = h("div.unseen", { "aria-live": "polite" });
  const announce = (/** @type {string} */ what) => {
    told.textContent = what;
  };
  const hooks = kindView(
    {
      heading: text.hooks,
      note: text.hooksNote,
      label: text.name,
      action: text.hook,
      refused: text.taken,
      removing: text.removeHook,
      async make(typed, id) {
        const { reply } = await chat.change("create_hook", { room, name: typed.toLowerCase() }, id);
        return { label: text.hookLink, value: String(reply.url) };
      },
      all: async () => list((await chat.ask("list_hooks", { room })).hooks),
      name: ({ hook }) => String(hook),
      state: ({ owner }) => text.by(String(owner)),
      remove: ({ hook }) => chat.change("delete_hook", { hook }),
    },
    announce,
  );
  const subscriptions = kindView(
    {
      heading: text.subscriptions,
      note: text.subscriptionsNote,
      label: text.url,
      action: text.subscribe,
      refused: text.full,
      removing: text.removeSubscription,
      async make(url, id) {
        const { reply } = await chat.change("create_subscription", { room, url }, id);
        return { label: text.secret, value: String(reply.subscription?.secret) };
      },
      all: async () => list((await chat.ask("list_subscriptions", { room })).subscriptions),
      name: ({ url }) => String(url),
      state({ state, by, failing_since, error, delivered }) {
        if (state === "off") return text.off;
        if (state === "paused") return text.paused(String(by));
        if (typeof failing_since === "number") return text.failing(fullTime(failing_since), String(error));
        const behind = lastSeq() - Number(delivered);
        return behind > 0 ? text.behind(behind) : text.fine;
      },
      remove: ({ id }) => chat.change("delete_subscription", { subscription: id }),
    },
    announce,
  );
  const close = iconButton("close", words.ask.close, () => element.close());
  const head = h("div.panel-head", h("h2", auto, text.heading(title)), close);
  const element = h("dialog.dialog.programs", { "aria-label": text.heading(title) }, head, ...hooks, ...subscriptions, told);
  showDialog(element);
  close.focus();
}

/**
 * All of one kind, under the form that makes another.
 * @param {Kind} kind
 * @param {(text: string) => void} announce
 */
function kindView(kind, announce) {
  const text = settingsWords.programs;
  const wanted = field(kind.label, { autocapitalize: "none", spellcheck: "false" });
  const { input } = wanted;
  const problem = problemLine();
  const made = h("div");
  let idFor = steadyId();
  const rows = h("ul.rows");
  const load = async () => rows.replaceChildren(...(await kind.all()).map(row));

  const adding = form({
    heading: kind.heading,
    body: [h("p.hint", kind.note), wanted.element],
    action: kind.action,
    announce,
    async act({ complain }) {
      const typed = input.value.trim();
      if (typed === "") return complain(text.missing, input);
      const told = await kind.make(typed, idFor(typed)).catch(refusedAs("conflict", () => complain(kind.refused, input)));
      if (!told) return;
      // The same once more is another one.
      idFor = steadyId();
      input.value = "";
      showLink(made, told.label, told.value, text.once);
      await load();
    },
  });

  /** @param {any} one */
  function row(one) {
    const name = kind.name(one);
    const act = async () => {
      await kind.remove(one);
      made.replaceChildren();
      announce(text.removed);
      await load();
      // Once the question has gone.
      setTimeout(() => input.focus(), 0);
    };
    const ask = () => askFirst({ heading: text.removeHeading(name), text: kind.removing, yes: words.people.remove, act });
    return h(
      "li.row-item",
      h("div.row-main", h("span", { dir: "ltr" }, name), h("span.hint", auto, kind.state(one))),
      h("button.button.small", { onclick: ask }, words.people.remove, unseen(` ${name}`)),
    );
  }

  void problem.attempt(load);
  return [adding.element, made, problem.element, rows];
}
