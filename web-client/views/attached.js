/** The files that go with the message one is writing: chosen, pasted or dropped, each a chip that can be taken away. */

import { auto, h, isAsked, keyed, on, set, write } from "../dom.js";
import { icon } from "../icons.js";
import { size } from "../sizes.js";
import { problemWords, words } from "../words.js";
import { iconButton } from "./controls.js";

const FILES_MAX = 20;

/**
 * @typedef {import("../types.js").Local} Local
 *
 * @param {object} context
 * @param {import("../uploads.js").Uploads} context.uploads
 * @param {() => number} context.limit bytes for a file
 * @param {() => void} context.changed
 * @param {() => void} context.removed what was wrong may be right now
 * @param {(problem: string) => void} context.complain
 * @param {() => void} context.focus back to the text
 */
export function attachedView({ uploads, limit, changed, removed, complain, focus }) {
  const text = words.composer;
  /** @type {Local[]} */
  let files = [];
  const element = h("ul.attached", { "aria-label": text.attached, hidden: true });
  const input = h("input", {
    type: "file", multiple: true, hidden: true,
    onchange: () => {
      add([...(input.files ?? [])]);
      input.value = "";
    },
  });
  const button = iconButton("clip", text.attach, () => input.click());

  /** @param {File[]} chosen */
  function add(chosen) {
    for (const file of chosen) {
      if (files.length >= FILES_MAX) {
        complain(text.tooMany(FILES_MAX));
        break;
      }
      if (file.size > limit()) complain(text.tooBig(file.name, size(limit())));
      else files = [...files, uploads.add(file)];
    }
    show();
    changed();
    focus();
  }

  /** @param {Local} file */
  function remove(file) {
    files = files.filter((other) => other.id !== file.id);
    uploads.forget([file]);
    show();
    changed();
    removed();
    focus();
  }

  function show() {
    element.hidden = files.length === 0;
    keyed(element, files, {
      key: (file) => file.id,
      create: (file) =>
        h(
          "li.attached-file",
          icon("file"),
          h("span.title", auto, file.name),
          h("span.hint"),
          iconButton("close", text.detach(file.name), () => remove(file)),
          h("span.progress", { "aria-hidden": "true" }),
        ),
      update(chip, file) {
        const state = uploads.state(file.id);
        const part = file.bytes === 0 ? 1 : (state?.sent ?? 0) / file.bytes;
        const note = /** @type {HTMLElement} */ (chip.children[2]);
        const said = state?.problem ? words.files.failed : state?.file ? size(file.bytes) : `${size(file.bytes)}, ${part > 0 ? words.files.uploading(Math.floor(part * 100)) : words.files.waiting}`;
        write(note, said);
        /** @type {HTMLElement} */ (chip.lastElementChild).style.setProperty("--part", state?.file ? "0" : String(part));
        if (state?.problem && !chip.dataset.failed) complain(text.failed(file.name, problemWords(state.problem)));
        set(chip, { "data-failed": state?.problem ? "yes" : null });
      },
    });
  }
  const stop = on(uploads, "change", show);

  return {
    element,
    input,
    button,
    add,
    get files() {
      return files;
    },
    /** Those of a draft, after a reload; none once they are sent. @param {Local[]} now */
    set(now) {
      files = now;
      for (const file of now) void uploads.finished(file).catch(() => undefined);
      show();
    },
    stop,
  };
}

/**
 * Files dropped on the page or pasted into an area of it. The whole page takes them: beside the area the browser would leave
 * for the file.
 * @param {HTMLElement} area
 * @param {(files: File[]) => void} add
 * @returns {() => void} stops taking them
 */
export function takeFiles(area, add) {
  let inside = 0;
  const veil = h("div.drop-veil", { hidden: true, "aria-hidden": "true" }, h("p", words.composer.drop));
  area.append(veil);
  /**
   * @param {"dragenter" | "dragleave" | "dragover" | "drop"} name
   * @param {(event: DragEvent) => void} act
   */
  const dragged = (name, act) =>
    on(window, name, (/** @type {DragEvent} */ event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      act(event);
      veil.hidden = inside <= 0 || isAsked();
    });
  const offs = [
    dragged("dragenter", () => (inside += 1)),
    dragged("dragleave", () => (inside -= 1)),
    dragged("dragover", () => {}),
    dragged("drop", ({ dataTransfer }) => {
      inside = 0;
      if (!isAsked()) add([...(dataTransfer?.files ?? [])]);
    }),
  ];
  on(area, "paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    // A copied table or page comes with its text and a picture of it: then the text is meant.
    if (files.length === 0 || event.clipboardData?.types.includes("text/plain")) return;
    event.preventDefault();
    add(files);
  });
  return () => offs.forEach((off) => off());
}
