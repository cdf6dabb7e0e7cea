/** Where one writes. It is always there, also without a connection, and what stands in it survives the page. */

import { auto, fitText, h, on, write } from "../dom.js";
import { keepDraft, readDraft } from "../draft.js";
import { icon } from "../icons.js";
import { byteLength, firstLine, tidied } from "../text.js";
import { words } from "../words.js";
import { attachedView, takeFiles } from "./attached.js";
import { completion, insertText } from "./completion.js";
import { iconButton, problemLine } from "./controls.js";
import { pickEmoji } from "./lazy.js";
import { replaceNamed, sources } from "./sources.js";

const QUOTE_CHARACTERS = 100;
/** The counter shows when less than this part of the limit is left. */
const NEAR = 0.1;

/**
 * @typedef {import("../types.js").Message} Message
 * @typedef {import("../types.js").Local} Local
 *
 * @param {object} context
 * @param {string} context.draft the key under which the unsent text is kept
 * @param {(text: string, replyTo: number | null, files: Local[]) => void} context.send
 * @param {() => void} context.typing
 * @param {() => void} context.editLast
 * @param {() => { message_bytes: number, file_bytes: number }} context.limits
 * @param {(name: string) => string} context.display
 * @param {() => import("../types.js").User[]} context.people whom one may mention, the likeliest first
 * @param {(typed: string) => Promise<unknown> | null} context.morePeople asks for others
 * @param {import("../uploads.js").Uploads} context.uploads
 */
export function composerView({ draft, send, typing, editLast, limits, display, people, morePeople, uploads }) {
  const text = words.composer;
  const problem = problemLine();
  const box = h("textarea", { id: "composer", rows: 1, enterkeyhint: "send", dir: "auto", "aria-describedby": `composer-left ${problem.element.id}` });
  const label = h("label.unseen", { htmlFor: "composer" }, text.label);
  const left = h("p.hint.left", { id: "composer-left", hidden: true });
  const sendButton = iconButton("send", text.send, null, ".send", { type: "submit" });
  const openEmoji = () => pickEmoji(emojiButton, (emoji) => insertText(box, emoji));
  const emojiButton = iconButton("smile", text.emoji, openEmoji, ".emoji-opener", { "aria-haspopup": "dialog" });
  const reply = h("div.replying", { hidden: true });
  const complete = completion(box, sources(people, morePeople));
  const attached = attachedView({ uploads, limit: () => limits().file_bytes, changed: () => keep(), removed: () => check(), complain: problem.say, focus: () => box.focus() });
  /** @type {{ seq: number, name: string, text: string } | null} */
  let replying = null;

  const keep = () => keepDraft(draft, { text: box.value, reply: replying, files: attached.files });
  const grow = () => fitText(box);
  const check = () => {
    const limit = limits().message_bytes;
    const free = limit - byteLength(tidied(box.value));
    problem.clear();
    left.hidden = free < 0 || free > limit * NEAR;
    if (!left.hidden) write(left, text.left(free));
    if (free < 0) problem.say(text.tooLong(-free));
    return free >= 0;
  };
  const showReply = () => {
    reply.hidden = replying === null;
    reply.replaceChildren();
    if (!replying) return;
    reply.append(
      icon("reply"),
      h("span.replying-to", auto, `${text.replying(replying.name)}: ${replying.text}`),
      iconButton("close", text.cancelReply, () => cancelReply()),
    );
  };
  const cancelReply = () => {
    replying = null;
    showReply();
    keep();
    box.focus();
  };
  const submit = () => {
    const said = tidied(box.value);
    if ((said === "" && attached.files.length === 0) || !check()) return;
    // First into the outbox, which keeps it before this returns, then out of the draft.
    send(said, replying?.seq ?? null, attached.files);
    box.value = "";
    replying = null;
    attached.set([]);
    showReply();
    keep();
    grow();
    check();
  };

  on(box, "input", (event) => {
    replaceNamed(box, event);
    keep();
    grow();
    check();
    if (box.value !== "") typing();
  });
  on(box, "keydown", (event) => {
    if (event.isComposing || event.keyCode === 229 || complete.key(event)) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      submit();
    } else if (event.key === "Escape" && replying) {
      event.preventDefault();
      cancelReply();
    } else if (event.key === "ArrowUp" && box.value === "") {
      event.preventDefault();
      editLast();
    }
  });

  const element = h(
    "form.composer",
    {
      novalidate: true,
      onsubmit: (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        submit();
        box.focus();
      },
    },
    reply,
    problem.element,
    complete.element,
    h("div.composer-box", attached.element, h("div.composer-row", attached.button, attached.input, label, box, emojiButton, sendButton)),
    left,
  );

  // Another tab may have kept its own in the meantime; what is closed last is found first.
  const offs = [on(window, "pagehide", keep)];

  const kept = readDraft(draft);
  box.value = kept.text;
  replying = kept.reply;
  showReply();
  attached.set(kept.files);
  // Its height is known only once it is in the page.
  requestAnimationFrame(() => {
    grow();
    check();
  });

  return {
    element,
    box,
    /** Files dropped anywhere, or pasted in an area, go with the message. @param {HTMLElement} area */
    takeFrom(area) {
      offs.push(takeFiles(area, attached.add));
    },
    /** @param {string} title */
    setPlaceholder(title) {
      const hint = text.placeholder(title);
      if (box.placeholder !== hint) box.placeholder = hint;
    },
    /** @param {Message} message */
    reply(message) {
      replying = { seq: message.seq, name: display(message.from), text: firstLine(message.text || message.files[0]?.name || "", QUOTE_CHARACTERS) };
      showReply();
      keep();
      box.focus();
    },
    stop() {
      attached.stop();
      offs.forEach((off) => off());
    },
  };
}
