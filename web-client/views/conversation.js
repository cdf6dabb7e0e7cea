/** One room, open: its head, the conversation, who types, and the composer. */

import { remember } from "../db.js";
import { auto, h, on, soon, watched, write } from "../dom.js";
import { draftKey, editKey } from "../draft.js";
import { placeLink } from "../jump.js";
import { conversation } from "../pending.js";
import { bound, firstUnread } from "../rooms.js";
import { words } from "../words.js";
import { messageActions } from "./actions.js";
import { composerView } from "./composer.js";
import { copy } from "./dialogs.js";
import { editMessage } from "./editor.js";
import { headView } from "./head.js";
import { openVersions } from "./lazy.js";
import { messageList } from "./list.js";

const LOADING_MS = 300;
const NOTE_MS = 4000;

/**
 * @typedef {import("../types.js").Message} Message
 *
 * @param {object} context
 * @param {import("../chat.js").Chat} context.chat
 * @param {import("../store.js").Store} context.store
 * @param {number} context.number
 * @param {number | null} context.seq the message to begin at
 * @param {() => void} context.people opens the panel
 * @param {(text: string) => void} context.announce
 */
export function conversationView({ chat, store, number, seq: first, people, announce }) {
  const me = () => store.me?.name ?? "";
  const head = headView({ mute: (on) => chat.mute(number, on), people, announce: say });
  const typing = h("p.typing", auto);
  const empty = h("div.empty", { hidden: true });
  /** @type {ReturnType<typeof editMessage> | null} */
  let editor = null;
  let note = "";
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let noteTimer;
  let failed = false;
  let slow = false;
  let target = first;
  /** Whether the room's end was wanted and could not be had. */
  let owed = false;

  const room = store.rooms.get(number);
  if (room && room.new_from === null) room.new_from = firstUnread(room);

  const acts = {
    react: (/** @type {Message} */ message, /** @type {string} */ emoji) => {
      chat.react(number, message.seq, emoji, !message.reactions[emoji]?.includes(me()));
    },
    again: (/** @type {string} */ id) => chat.tryAgain(id),
    editAgain: (/** @type {Message} */ message, /** @type {import("../types.js").Item} */ item) => {
      remember(editKey(me(), number, message.seq), item.fields.text);
      chat.discard(item.id);
      edit({ ...message, version: Math.max(message.version, item.problem?.current?.version ?? 0) });
    },
    discard: (/** @type {string} */ id) => {
      chat.discard(id);
      composer.box.focus();
    },
    copy: (/** @type {string} */ said) => {
      void copy(said, () => say(words.message.copied));
    },
    show: (/** @type {number} */ seq) => void reveal(seq),
    versions: (/** @type {Message} */ message) => void openVersions(() => reader.versions(number, message.seq)),
    display: (/** @type {string} */ name) => store.display(name),
    me,
    known: (/** @type {string} */ name) => store.users.has(name),
    gone: (/** @type {string} */ name) => store.users.get(name)?.deleted === true,
    nodes: () => chat.nodes,
    people: () => store.users.size,
    shelf: { media: chat.media, uploads: chat.uploads },
  };
  const { reader } = chat;
  const list = messageList({
    acts,
    loadOlder: () => reader.loadOlder(number),
    loadNewer: () => reader.loadNewer(number),
    // Shown at once: to be at the end means the end of what has come.
    loadNewest: async () => {
      const came = await reader.loadNewest(number);
      owed = !came;
      if (element.isConnected) update();
      return came;
    },
    moved: attend,
    announce,
  });
  const actions = messageActions(list.log, {
    find: list.find,
    me: () => ({ name: me(), admin: store.me?.role === "admin" }),
    react: acts.react,
    reply: (message) => composer.reply(message),
    edit: (message) => edit(message),
    remove: (message) => {
      chat.remove(number, message.seq);
      setTimeout(() => list.focusLast(), 0);
    },
    copy: acts.copy,
    link: (message) => acts.copy(`${location.origin}/${placeLink(number, message.seq)}`),
  });
  const composer = composerView({
    draft: draftKey(me(), number),
    send: (said, replyTo, files) => {
      chat.send(number, said, replyTo, files);
      if (!list.atEnd) void list.toEnd();
    },
    typing: () => chat.typing(number),
    editLast: () => {
      const last = shownNow().findLast((one) => one.message.from === me() && one.message.seq > 0 && !one.message.deleted);
      if (last) edit(last.message);
    },
    limits: () => store.limits,
    display: acts.display,
    people: () => likely(store, number),
    morePeople: (typed) => reader.findUsers(typed),
    uploads: chat.uploads,
  });

  const element = h(
    "main.conversation",
    { id: "conversation" },
    head.element,
    h("div.log-area", list.element, empty),
    typing,
    composer.element,
  );
  composer.takeFrom(element);

  function shownNow() {
    const state = store.rooms.get(number);
    return state ? conversation(state, store.outbox, store.acknowledged, me()) : [];
  }

  /** @param {Message} message */
  function edit(message) {
    editor?.leave();
    const article = list.log.querySelector(`article[data-seq="${message.seq}"]`);
    if (!(article instanceof HTMLElement)) return;
    editor = editMessage({
      message,
      article,
      draft: editKey(me(), number, message.seq),
      limit: () => store.limits.message_bytes,
      save: (said) => chat.edit(number, message.seq, said, message.version),
      people: () => likely(store, number),
      morePeople: (typed) => reader.findUsers(typed),
      done: () => {
        editor = null;
        composer.box.focus();
      },
    });
  }

  /** Goes to a message, loading what stands around it when it must. @param {number} seq */
  async function reveal(seq) {
    if (list.reveal(seq)) return;
    if (store.epoch === null) {
      target = seq;
      return;
    }
    const came = await reader.loadAround(number, seq);
    if (!element.isConnected) return;
    update();
    if (!list.reveal(seq)) say(came ? words.message.notThere : words.empty.failed);
  }

  /** What has been before the eyes of someone who is there has been read. */
  function attend() {
    const state = store.rooms.get(number);
    if (!state || !state.loaded || state.stale || !watched()) return;
    const end = list.atEnd;
    const seen = end ? state.last_seq : Math.min(list.seen, state.last_seq);
    if (seen > state.read_seq || (end && state.unread > 0)) chat.read(number, seen);
  }

  /**
   * What a message answers.
   * @param {import("../types.js").RoomState} state
   * @param {number} seq
   */
  function quoteOf(state, seq) {
    const quoted = state.messages.get(seq) ?? state.quoted.get(seq);
    if (!quoted) {
      if (store.epoch !== null) void reader.loadQuoted(number, seq);
      return { name: "", text: words.message.earlier };
    }
    return { name: store.display(quoted.from), text: quoted.deleted ? words.message.deleted : quoted.text || (quoted.files[0]?.name ?? "") };
  }

  function update() {
    const state = store.rooms.get(number);
    if (!state || !store.me) return;
    const title = store.title(state);
    head.update(state, title);
    list.log.setAttribute("aria-label", words.room.log(title));
    composer.setPlaceholder(title);
    if (list.seen > 0) bound(state, list.atEnd ? null : list.seen);
    const shown = shownNow();
    // Someone is away, or reads further up: what comes now is new.
    const reading = list.atEnd && watched();
    if (state.new_from === null && state.unread > 0 && !reading) state.new_from = firstUnread(state);
    list.update({
      shown,
      newFrom: state.new_from,
      loaded: state.loaded,
      beginning: words.room.beginning,
      latest: state.anchor === null,
      lastSeq: state.last_seq,
      quote: (seq) => quoteOf(state, seq),
      me: me(),
    });
    keepEditor();
    actions.refresh();
    showEmpty(state, shown.length, title);
    attend();
  }

  /** The box of an edit stays with its message. */
  function keepEditor() {
    if (!editor) return;
    const article = list.log.querySelector(`article[data-seq="${editor.message.seq}"]`);
    if (!(article instanceof HTMLElement)) return;
    article.classList.add("editing");
    if (editor.element.previousElementSibling !== article) article.after(editor.element);
  }

  /**
   * @param {import("../types.js").RoomState} state
   * @param {number} shown
   * @param {string} title
   */
  function showEmpty(state, shown, title) {
    const text = words.empty;
    empty.hidden = shown > 0 || !(state.loaded || failed || slow || store.alone);
    if (empty.hidden) return;
    if (!state.loaded) {
      empty.replaceChildren(
        h("p", failed ? text.failed : store.alone ? text.away : text.loading),
        ...(failed ? [h("button.button", { onclick: load }, words.message.again)] : []),
      );
      return;
    }
    empty.replaceChildren(h("h2", text.room), h("p", auto, state.kind === "direct" ? text.directText(title) : text.roomText(title)));
  }

  function showTyping() {
    write(typing, note || words.room.typing(store.typingIn(number).map(acts.display)));
  }

  /** Tells what came of something, for a while also in sight. @param {string} told */
  function say(told) {
    announce(told);
    note = told;
    showTyping();
    clearTimeout(noteTimer);
    noteTimer = setTimeout(() => {
      note = "";
      showTyping();
    }, NOTE_MS);
  }

  async function load() {
    failed = false;
    const timer = setTimeout(() => {
      slow = true;
      update();
    }, LOADING_MS);
    const to = target;
    const came = await (to === null ? reader.loadFirst(number) : reader.loadAround(number, to));
    clearTimeout(timer);
    slow = false;
    failed = !came;
    if (!element.isConnected) return;
    update();
    if (came && to !== null) {
      target = null;
      if (!list.reveal(to)) say(words.message.notThere);
    }
  }

  const asked = soon(update);
  const offs = [
    store.on(`room:${number}`, asked),
    store.on("users", asked),
    store.on("rooms", asked),
    store.on("anew", () => void load()),
    store.on("status", () => {
      if (store.status.phase !== "connected") return;
      if (failed) void load();
      else if (owed && list.low) void list.toEnd();
    }),
    store.on(`typing:${number}`, showTyping),
    on(window, "focus", attend),
    on(document, "visibilitychange", attend),
  ];

  return {
    element,
    composer,
    list,
    reveal: (/** @type {number} */ seq) => void reveal(seq),
    /** Once it is in the page, and so has a size. */
    start() {
      update();
      if (store.epoch !== null && room && (!room.loaded || room.stale || target !== null)) void load();
    },
    stop() {
      offs.forEach((off) => off());
      list.stop();
      composer.stop();
    },
  };
}

/**
 * Whom one may want to mention: those who spoke here last, then who is online, then everybody.
 * @param {import("../store.js").Store} store
 * @param {number} number
 */
function likely(store, number) {
  const spoke = new Map([...(store.rooms.get(number)?.messages.values() ?? [])].map((message) => [message.from, message.seq]));
  const people = [...store.users.values()].filter((user) => !user.deleted && user.name !== store.me?.name);
  const rank = (/** @type {import("../types.js").User} */ user) => (spoke.get(user.name) ?? 0) * 2 + Number(user.online ?? false);
  return people.sort((a, b) => rank(b) - rank(a) || (a.name < b.name ? -1 : 1));
}
