/**
 * Files of messages as the page shows them: fetched with the token from the node that serves us, else from another.
 * What was shown last is kept, up to a bound.
 *
 * @typedef {import("./types.js").Attachment} Attachment
 */

import { noAnswer, Refusal, refused } from "./refusal.js";

/** Types that the browser may show as pictures; anything else is a download. */
const PICTURES = new Set(["image/png", "image/jpeg", "image/gif", "image/webp"]);
const KEPT_BYTES = 64 * 1024 * 1024;
const FETCH_MS = 60_000;
/** An export is made while it comes. */
const EXPORT_MS = 15 * 60_000;
/** Its last line says that it is whole, and is no longer than this. */
const LAST_BYTES = 200;
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
    save(await this.#fetch(file), file.name);
  }

  /** Puts there all that one may see, as lines. @param {string} name what it is called */
  async everything(name) {
    const lines = await this.#ask("export", EXPORT_MS);
    if (!(await lines.slice(-LAST_BYTES).text()).includes('"type":"end"')) throw noAnswer();
    save(lines, name);
  }

  /** Somebody else may sit here next. */
  clear() {
    for (const { url } of this.#kept.values()) url.then((address) => URL.revokeObjectURL(address), () => undefined);
    this.#kept.clear();
  }

  /** @param {Attachment} file */
  async #fetch(file) {
    const bytes = await this.#ask(`files/${encodeURIComponent(file.file)}/${encodeURIComponent(file.name)}`, FETCH_MS);
    // The type is the message's, and a picture's only when it is one: nothing else may open inside this origin.
    return new Blob([bytes], { type: isPicture(file) ? file.type : "application/octet-stream" });
  }

  /**
   * Asks one node after the other.
   * @param {string} path
   * @param {number} patience_ms
   */
  async #ask(path, patience_ms) {
    /** @type {unknown} */
    let last = noAnswer();
    for (const node of this.#ports.nodes()) {
      try {
        return await this.#askAt(`${node}/api/v1/${path}`, patience_ms);
      } catch (error) {
        last = error;
        if (error instanceof Refusal && !error.problem.retry) break;
      }
    }
    throw last instanceof Refusal ? last : noAnswer();
  }

  /**
   * @param {string} url
   * @param {number} patience_ms
   */
  async #askAt(url, patience_ms) {
    const answer = await fetch(url, {
      headers: { authorization: `Bearer ${this.#ports.token()}` },
      signal: AbortSignal.timeout(patience_ms),
    });
    if (!answer.ok) {
      throw refused(answer.status, await answer.json().catch(() => ({})));
    }
    return answer.blob();
  }
}

/**
 * @param {Blob} blob
 * @param {string} name
 */
function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), FETCH_MS);
}
