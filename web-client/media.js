/**
 * Files of messages as the page shows them: fetched with the token from the node that serves us, else from another.
 * What was shown last is kept, up to a bound.
 *
 * @typedef {import("./types.js").Attachment} Attachment
 */

import { readProblem } from "./frames.js";
import { noAnswer, Refusal } from "./refusal.js";

/** Types that the browser may show as pictures; anything else is a download. */
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const KEPT_BYTES = 64 * 1024 * 1024;
const FETCH_MS = 60_000;
/** Larger pictures are fetched when they are asked for. */
const PREVIEW_BYTES = 8 * 1024 * 1024;

/** @param {Attachment} file */
export const isPicture = (file) => PICTURES.has(file.type);
/** @param {Attachment} file */
export const isPreview = (file) => isPicture(file) && file.bytes <= PREVIEW_BYTES;
/** @param {Attachment} file @returns {"audio" | "video" | null} */
export const playedAs = (file) => (file.type.startsWith("audio/") ? "audio" : file.type.startsWith("video/") ? "video" : null);

export class Media {
  #ports;
  /** By hash, the one shown last at the end. @type {Map<string, { url: Promise<string>, bytes: number }>} */
  #kept = new Map();

  /**
   * @param {object} ports
   * @param {() => string[]} ports.nodes the one that serves us first
   * @param {() => string | null} ports.token
   * @param {(op: string, fields: Record<string, unknown>) => Promise<Record<string, any>>} ports.ask
   */
  constructor(ports) {
    this.#ports = ports;
  }

  /**
   * An address of the bytes inside this page.
   * @param {Attachment} file
   * @returns {Promise<string>}
   */
  url(file) {
    const key = `${file.file} ${file.type}`;
    const held = this.#kept.get(key);
    this.#kept.delete(key);
    const entry = held ?? { url: this.#fetch(file).then((blob) => URL.createObjectURL(blob)), bytes: file.bytes };
    this.#kept.set(key, entry);
    entry.url.catch(() => this.#kept.get(key) === entry && this.#kept.delete(key));
    let sum = 0;
    for (const { bytes } of this.#kept.values()) sum += bytes;
    for (const [oldest, { url, bytes }] of this.#kept) {
      if (sum <= KEPT_BYTES || oldest === key) break;
      this.#kept.delete(oldest);
      sum -= bytes;
      url.then((address) => URL.revokeObjectURL(address), () => undefined);
    }
    return entry.url;
  }

  /**
   * An address for a player, which reads as it plays. It ends soon.
   * @param {Attachment} file
   * @returns {Promise<string>}
   */
  async link(file) {
    const { url } = await this.#ports.ask("file_link", { file: file.file, name: file.name });
    return new URL(url, this.#ports.nodes()[0] ?? location.origin).href;
  }

  /** Puts a file where the browser puts downloads. @param {Attachment} file */
  async download(file) {
    const url = URL.createObjectURL(await this.#fetch(file));
    const link = document.createElement("a");
    link.href = url;
    link.download = file.name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), FETCH_MS);
  }

  /** Somebody else may sit here next. */
  clear() {
    for (const { url } of this.#kept.values()) url.then((address) => URL.revokeObjectURL(address), () => undefined);
    this.#kept.clear();
  }

  /** @param {Attachment} file */
  async #fetch(file) {
    /** @type {unknown} */
    let last = noAnswer();
    for (const node of this.#ports.nodes()) {
      try {
        return await this.#fetchFrom(node, file);
      } catch (error) {
        last = error;
        if (error instanceof Refusal && !error.problem.retry) break;
      }
    }
    throw last instanceof Refusal ? last : noAnswer();
  }

  /**
   * @param {string} node
   * @param {Attachment} file
   */
  async #fetchFrom(node, file) {
    const answer = await fetch(`${node}/api/v1/files/${encodeURIComponent(file.file)}/${encodeURIComponent(file.name)}`, {
      headers: { authorization: `Bearer ${this.#ports.token()}` },
      signal: AbortSignal.timeout(FETCH_MS),
    });
    if (!answer.ok) {
      const said = await answer.json().catch(() => ({}));
      throw new Refusal(readProblem(said.error ?? { code: "unavailable", retry: answer.status >= 500 }));
    }
    // The type is the message's, and a picture's only when it is one: nothing else may open inside this origin.
    return new Blob([await answer.arrayBuffer()], { type: isPicture(file) ? file.type : "application/octet-stream" });
  }
}
