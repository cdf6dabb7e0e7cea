/** The files of a message: pictures are shown in a place of fixed size, sound and film can be played, everything can be downloaded. */

import { auto, h, on, unseen, write } from "../dom.js";
import { icon } from "../icons.js";
import { isPicture, isPreview, playedAs } from "../media.js";
import { size } from "../sizes.js";
import { words } from "../words.js";
import { busyAt, iconButton, problemLine, refusedAs } from "./controls.js";

/** A picture has been read from its address by then. */
const SHOWN_MS = 60_000;

/**
 * @typedef {import("../types.js").Attachment} Attachment
 *
 * @typedef {object} Shelf  where files come from
 * @property {import("../media.js").Media} media
 * @property {import("../uploads.js").Uploads} uploads
 */

/**
 * @param {Attachment[]} files
 * @param {Shelf} shelf
 */
export function fileList(files, shelf) {
  return h("ul.files", { "aria-label": words.files.list }, ...files.map((file) => h("li", ...(file.local ? waiting(file, file.local, shelf) : rows(file, { url: () => shelf.media.url(file), media: shelf.media })))));
}

/**
 * The rows of a file. While its message waits they are the same, and do nothing yet: from sending to sent nothing moves.
 * @param {Attachment} file
 * @param {object} how
 * @param {() => Promise<string>} how.url the picture's address
 * @param {import("../media.js").Media | null} how.media where it can be had; null while it waits
 * @param {HTMLElement | null} [how.note] how far it has come
 */
function rows(file, { url, media, note = null }) {
  const text = words.files;
  const disabled = media === null;
  const problem = problemLine();
  const attempt = async (/** @type {HTMLElement} */ button, /** @type {(media: import("../media.js").Media) => Promise<void>} */ act) => {
    if (media === null || button.getAttribute("aria-busy")) return;
    busyAt(button, true);
    await problem.attempt(() => act(media).catch(refusedAs("unavailable timeout", () => problem.say(text.unreachable))));
    busyAt(button, false);
  };
  const save = iconButton("save", text.download(file.name), () => attempt(save, (from) => from.download(file)), "", { disabled });
  const row = h("div.file", icon(pictureOf(file)), h("span.file-name", auto, file.name), h("span.hint", size(file.bytes)), save, note);
  const kind = playedAs(file);
  if (kind) {
    const play = h("button.button.small", { disabled }, icon("play"), h("span", text.play(file.name)));
    on(play, "click", () =>
      attempt(play, async (from) => {
        const player = h(`${kind}.player.${kind}`, { controls: true, autoplay: true, preload: "metadata", src: await from.link(file), "aria-label": file.name });
        play.replaceWith(player);
        player.focus();
        // A link ends after a while: then playing on asks for another.
        on(player, "error", () => player.replaceWith(play), { once: true });
      }),
    );
    return [row, play, problem.element];
  }
  if (!isPicture(file)) return [row, problem.element];
  const image = h("img.picture", { alt: "" });
  const preview = h("button.preview", { disabled, onclick: () => attempt(preview, (from) => openPicture(file, from)) }, image, unseen(text.open(file.name)));
  if (isPreview(file)) whenNear(preview, () => void url().then((address) => (image.src = address), () => preview.remove()));
  else preview.append(h("span", text.show(file.name)));
  return [preview, row, problem.element];
}

/**
 * A file of a message that is not sent yet.
 * @param {Attachment} file
 * @param {string} id
 * @param {Shelf} shelf
 */
function waiting(file, id, { uploads }) {
  const note = h("span.hint.so-far");
  const update = () => {
    const state = uploads.state(id);
    const part = file.bytes === 0 ? 1 : (state?.sent ?? 0) / file.bytes;
    write(note, state?.problem ? words.files.failed : state?.file ? words.files.ready : part > 0 ? words.files.uploading(Math.floor(part * 100)) : words.files.waiting);
  };
  const moved = () => {
    if (note.isConnected) update();
    else stop();
  };
  update();
  const stop = on(uploads, "change", moved);
  const url = async () => {
    const blob = await uploads.blob({ ...file, id });
    if (!blob) throw new TypeError(file.name);
    // Only ever shown as a picture, and let go of once it is.
    const address = URL.createObjectURL(blob);
    setTimeout(() => URL.revokeObjectURL(address), SHOWN_MS);
    return address;
  };
  return rows(file, { url, media: null, note });
}

/**
 * @param {Attachment} file
 * @param {import("../media.js").Media} media
 */
async function openPicture(file, media) {
  // Opened before anything is waited for, else it counts as unasked.
  const tab = window.open("", "_blank");
  try {
    const url = await media.url(file);
    if (!tab) return await media.download(file);
    tab.opener = null;
    tab.location.replace(url);
  } catch (error) {
    tab?.close();
    throw error;
  }
}

/** @param {Attachment} file @returns {Parameters<typeof icon>[0]} */
function pictureOf(file) {
  if (file.type.startsWith("image/")) return "picture";
  return file.type.startsWith("audio/") ? "sound" : file.type.startsWith("video/") ? "play" : "file";
}

/** @type {WeakMap<Element, () => void>} */
const near = new WeakMap();
const observer =
  typeof IntersectionObserver === "function"
    ? new IntersectionObserver(
        (entries) => {
          for (const { target, isIntersecting } of entries) {
            if (!isIntersecting) continue;
            observer?.unobserve(target);
            near.get(target)?.();
          }
        },
        { rootMargin: "600px" },
      )
    : null;

/**
 * Acts once an element comes near to being seen.
 * @param {Element} element
 * @param {() => void} act
 */
function whenNear(element, act) {
  if (!observer) return act();
  near.set(element, act);
  observer.observe(element);
}
