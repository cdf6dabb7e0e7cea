/** Where one writes. It is always there, also without a connection, and what stands in it survives the page. */

import { forget, recall, remember } from "../db.js";
import { fitText, h, unseen } from "../dom.js";
import { icon } from "../icons.js";
import { byteLength, firstLine, tidied } from "../text.js";
import { words } from "../words.js";

const QUOTE_CHARACTERS = 100;

/**
 * @typedef {import("../types.js").Message} Message
 *
 * @param {object} context
 * @param {string} context.draft the key under which the unsent text is kept
 * @param {(text: string, replyTo: number | null) => void} context.send
 * @param {() => void} context.typing
 * @param {() => void} context.editLast
 * @param {() => number} context.limit in bytes
 * @param {(name: string) => string} context.display
 */
export function composerView({ draft, send, typing, editLast, limit, display }) {
  const text = words.composer;
  const box = h("textarea", { id: "composer", rows: 1, enterkeyhint: "send", dir: "auto", "aria-describedby": "composer-problem" });
  const label = h("label", { class: "unseen", htmlFor: "composer" }, text.label);
  const problem = h("p", { class: "problem", id: "composer-problem", role: "alert", hidden: true });
  const sendButton = h("button", { type: "submit", class: "icon-button send", title: text.send }, icon("send"), unseen(text.send));
  const reply = h("div", { class: "replying", hidden: true });
  /** @type {{ seq: number, name: string, text: string } | null} */
  let replying = null;

  const kept = recall(draft);
  if (typeof kept?.text === "string") box.value = kept.text;

  const keep = () => {
    if (box.value === "" && !replying) forget(draft);
    else remember(draft, { text: box.value, reply: replying });
  };
  const grow = () => fitText(box);
  const check = () => {
    const over = byteLength(tidied(box.value)) - limit();
    problem.hidden = over <= 0;
    if (over > 0) problem.textContent = text.tooLong(over);
    return over <= 0;
  };
  const showReply = () => {
    reply.hidden = replying === null;
    reply.replaceChildren();
    if (!replying) return;
    reply.append(
      icon("reply"),
      h("span", { class: "replying-to", dir: "auto" }, `${text.replying(replying.name)}: ${replying.text}`),
      h("button", { type: "button", class: "icon-button", title: text.cancelReply, onclick: () => cancelReply() }, icon("close"), unseen(text.cancelReply)),
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
    if (said === "" || !check()) return;
    // First into the outbox, which keeps it before this returns, then out of the draft.
    send(said, replying?.seq ?? null);
    box.value = "";
    replying = null;
    showReply();
    forget(draft);
    grow();
  };

  box.addEventListener("input", () => {
    keep();
    grow();
    check();
    if (box.value !== "") typing();
  });
  box.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
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
    "form",
    {
      class: "composer",
      novalidate: true,
      onsubmit: (/** @type {SubmitEvent} */ event) => {
        event.preventDefault();
        submit();
        box.focus();
      },
    },
    reply,
    problem,
    h("div", { class: "composer-row" }, label, box, sendButton),
  );
  if (kept?.reply && typeof kept.reply.seq === "number") {
    replying = kept.reply;
    showReply();
  }
  // Its height is known only once it is in the page.
  requestAnimationFrame(grow);

  return {
    element,
    box,
    /** @param {string} title */
    setPlaceholder(title) {
      const hint = text.placeholder(title);
      if (box.placeholder !== hint) box.placeholder = hint;
    },
    /** @param {Message} message */
    reply(message) {
      replying = { seq: message.seq, name: display(message.from), text: firstLine(message.text, QUOTE_CHARACTERS) };
      showReply();
      keep();
      box.focus();
    },
  };
}
