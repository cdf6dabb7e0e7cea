/**
 * Files on their way to the servers: in pieces, so that a lost connection costs one piece; begun anew at another node when the
 * one that had the pieces is gone. The bytes lie in `blobs.js` until the message that holds them is acknowledged.
 *
 * Topics: `change` (any file's state moved on).
 *
 * @typedef {import("./types.js").Local} Local
 *
 * @typedef {object} Upload
 * @property {Blob | null} blob null when it could not be kept
 * @property {number} sent bytes that a node has
 * @property {string | null} file its hash, once a node has all of it
 * @property {import("./types.js").Problem | null} problem why it cannot be sent
 * @property {boolean} stopped
 * @property {Promise<string> | null} running
 *
 * @typedef {object} Node_  the node that serves us, as HTTP reaches it
 * @property {() => string | null} url
 * @property {() => string | null} token
 */

import { rest } from "./backoff.js";
import { deleteBlob, getBlob, putBlob } from "./blobs.js";
import { newId } from "./ids.js";
import { Refusal, refused } from "./refusal.js";

export const PIECE = 1024 * 1024;
const PIECE_MS = 60_000;
const PAUSE_MS = 1000;
const LOOK_MS = 500;
/** So often an upload is begun anew because a node knows nothing of it. */
const LOST_MAX = 3;

export class Uploads extends EventTarget {
  #node;
  /** @type {Map<string, Upload>} */
  #all = new Map();
  /** One file at a time: the person's messages need the line as well. @type {Promise<unknown>} */
  #line = Promise.resolve();

  /** @param {Node_} node */
  constructor(node) {
    super();
    this.#node = node;
  }

  /**
   * Keeps a chosen file and begins to send it.
   * @param {File} file
   * @returns {Local}
   */
  add(file) {
    const id = newId();
    this.#all.set(id, { blob: file, sent: 0, file: null, problem: null, stopped: false, running: null });
    void putBlob({ id, name: file.name, blob: file, time: Date.now() });
    const local = { id, name: file.name || "file", bytes: file.size, type: file.type };
    this.#begin(local);
    return local;
  }

  /** Where a file stands. @param {string} id */
  state(id) {
    return this.#all.get(id) ?? null;
  }

  /**
   * @param {Local} local one chosen earlier, perhaps before a reload
   * @returns {Promise<string>} its hash, once a node has all of it; rejects with a `Refusal`
   */
  async finished(local) {
    const upload = this.#all.get(local.id);
    if (upload?.file) return upload.file;
    return upload?.running ?? this.#begin(local);
  }

  /** The bytes, to be shown. @param {Local} local */
  async blob(local) {
    return this.#all.get(local.id)?.blob ?? (await getBlob(local.id))?.blob ?? null;
  }

  /** No node knows these any more: they are sent again when they are asked for. @param {Local[]} locals */
  again(locals) {
    for (const { id } of locals) {
      const upload = this.#all.get(id);
      if (upload && !upload.running) Object.assign(upload, { file: null, problem: null, sent: 0 });
    }
  }

  /** Sent with a message, or taken away again. @param {Local[]} locals */
  forget(locals) {
    for (const { id } of locals) {
      const upload = this.#all.get(id);
      if (upload) upload.stopped = true;
      this.#all.delete(id);
      void deleteBlob(id);
    }
    this.#tell();
  }

  /** Nobody is logged in any more. What waits stays on the disk. */
  stop() {
    for (const upload of this.#all.values()) upload.stopped = true;
    this.#all.clear();
  }

  /**
   * @param {Local} local
   * @returns {Promise<string>}
   */
  #begin(local) {
    const upload = this.#all.get(local.id) ?? { blob: null, sent: 0, file: null, problem: null, stopped: false, running: null };
    this.#all.set(local.id, upload);
    upload.problem = null;
    const running = this.#line.then(() => this.#send(local, upload));
    this.#line = running.catch(() => undefined);
    upload.running = running;
    running.then(
      (file) => Object.assign(upload, { file, sent: local.bytes, problem: null, running: null }),
      (error) => Object.assign(upload, { problem: error instanceof Refusal ? error.problem : null, running: null }),
    ).finally(() => this.#tell());
    return running;
  }

  /**
   * @param {Local} local
   * @param {Upload} upload
   */
  async #send(local, upload) {
    upload.blob ??= (await getBlob(local.id))?.blob ?? null;
    if (!upload.blob) throw refusal("not_found");
    for (let lost = 0; ; ) {
      if (upload.stopped || !(await readable(upload.blob))) throw refusal("not_found");
      const url = this.#node.url();
      try {
        if (url) return await this.#sendTo(url, local, upload, upload.blob);
      } catch (error) {
        const problem = error instanceof Refusal ? error.problem : null;
        if (problem?.code === "not_found" && ++lost <= LOST_MAX) continue;
        // Without a good token this waits until somebody is logged in again, or goes.
        if (problem && !problem.retry && problem.code !== "unauthorized") throw error;
        // It is tried again, and why it has to be is worth saying.
        upload.problem = problem;
        this.#tell();
      }
      await rest(PAUSE_MS);
    }
  }

  /**
   * @param {string} url
   * @param {Local} local
   * @param {Upload} upload
   * @param {Blob} blob
   */
  async #sendTo(url, local, upload, blob) {
    const name = encodeURIComponent(local.name);
    this.#moved(upload, 0);
    if (blob.size <= PIECE) return hashOf(await this.#ask(url, "POST", `/api/v1/files?name=${name}`, blob, {}));
    const { upload: id } = await this.#ask(url, "POST", `/api/v1/uploads?name=${name}&bytes=${blob.size}`, null, {});
    const path = `/api/v1/uploads/${encodeURIComponent(id)}`;
    let offset = 0;
    let failures = 0;
    for (;;) {
      if (upload.stopped) throw refusal("not_found");
      try {
        const answer = await this.#ask(url, "PATCH", path, blob.slice(offset, offset + PIECE), { "Upload-Offset": String(offset) });
        if (typeof answer.file === "string") return answer.file;
        offset = answer.offset;
        failures = 0;
        upload.problem = null;
        this.#moved(upload, offset);
      } catch (error) {
        // The node still serves us, so it was this one piece: how far has it come?
        failures += 1;
        const problem = error instanceof Refusal ? error.problem : null;
        // A conflict is a piece whose answer was lost: it came twice.
        if (failures > 3 || this.#node.url() !== url || (problem && !problem.retry && problem.code !== "conflict")) throw error;
        offset = (await this.#ask(url, "GET", path, null, {})).offset;
      }
    }
  }

  /**
   * @param {string} url
   * @param {string} method
   * @param {string} path
   * @param {Blob | null} body
   * @param {Record<string, string>} headers
   */
  async #ask(url, method, path, body, headers) {
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), PIECE_MS);
    // A node that serves us no longer need not be waited for.
    const watch = setInterval(() => this.#node.url() !== url && patience.abort(), LOOK_MS);
    try {
      const answer = await fetch(url + path, { method, body, headers: { ...headers, authorization: `Bearer ${this.#node.token()}` }, signal: patience.signal });
      const said = await answer.json().catch(() => ({}));
      if (!answer.ok) throw refused(answer.status, said);
      return said;
    } finally {
      clearTimeout(timer);
      clearInterval(watch);
    }
  }

  /**
   * @param {Upload} upload
   * @param {number} sent
   */
  #moved(upload, sent) {
    upload.sent = sent;
    this.#tell();
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

/** @param {string} code */
const refusal = (code) => new Refusal({ code, message: "", retry: false });

/** @param {any} answer */
function hashOf(answer) {
  if (typeof answer.file !== "string") throw refusal("internal");
  return answer.file;
}

/**
 * A folder that was dropped is no file, and a file may change or go after it was chosen: then nothing of it can be read.
 * @param {Blob} blob
 */
async function readable(blob) {
  try {
    await blob.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}
