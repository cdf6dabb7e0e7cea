/**
 * What stands unsent in a room's composer: it survives a reload, a closed tab, and the loss of the connection.
 *
 * @typedef {{ text: string, reply: { seq: number, name: string, text: string } | null, files: import("./types.js").Local[] }} Draft
 */

import { forget, recall, remember } from "./db.js";
import { list } from "./frames.js";

const DRAFT = "draft:";

/**
 * @param {string} user
 * @param {number | ""} room
 */
export const draftKey = (user, room) => `${DRAFT}${user}:${room}`;

/**
 * Under which a new wording is kept that is not saved yet.
 * @param {string} user
 * @param {number | ""} room
 * @param {number | ""} seq
 */
export const editKey = (user, room, seq) => `edit:${user}:${room}${seq === "" ? "" : `:${seq}`}`;

/**
 * @param {any} kept
 * @returns {Draft}
 */
function drafted(kept) {
  return {
    text: typeof kept?.text === "string" ? kept.text : "",
    reply: typeof kept?.reply?.seq === "number" ? kept.reply : null,
    files: list(kept?.files).filter((file) => typeof file?.id === "string" && typeof file.name === "string" && typeof file.bytes === "number"),
  };
}

/** What this tab read or wrote last, by key. @type {Map<string, string>} */
const ours = new Map();

/**
 * This tab's own draft, else the one that was kept last.
 * @param {string} key
 * @returns {Draft}
 */
export function readDraft(key) {
  const last = recall(key, "sessionStorage") ?? recall(key);
  ours.set(key, JSON.stringify(last));
  return drafted(last);
}

/**
 * Another tab may have a draft of its own in the same room: each has its own copy, and beside them lies the last one, for
 * the next visit. That one goes only with a tab that has the same.
 * @param {string} key
 * @param {Draft} draft
 */
export function keepDraft(key, draft) {
  if (draft.text !== "" || draft.reply !== null || draft.files.length > 0) {
    ours.set(key, JSON.stringify(draft));
    remember(key, draft, "sessionStorage");
    remember(key, draft);
    return;
  }
  if (ours.get(key) === JSON.stringify(recall(key))) forget(key);
  forget(key, "sessionStorage");
}

/**
 * Lets go of all that one person had not sent, as when the account is no more.
 * @param {string} user
 * @returns {import("./types.js").Local[]} the files that waited with it
 */
export function dropDrafts(user) {
  const files = [];
  try {
    for (const where of /** @type {const} */ (["localStorage", "sessionStorage"])) {
      for (const key of Object.keys(globalThis[where])) {
        if (key !== `last:${user}` && !key.startsWith(draftKey(user, "")) && !key.startsWith(editKey(user, "", ""))) continue;
        files.push(...drafted(recall(key, where)).files);
        forget(key, where);
      }
    }
  } catch {
    // No storage, no drafts.
  }
  return files;
}

/** The ids of all files that wait in drafts, whoever's. @returns {Set<string>} */
export function draftFiles() {
  /** @type {Set<string>} */
  const ids = new Set();
  try {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(DRAFT)) for (const file of drafted(recall(key)).files) ids.add(file.id);
    }
  } catch {
    // No localStorage, no drafts.
  }
  return ids;
}
