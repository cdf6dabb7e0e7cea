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
 * @param {number} room
 */
export const draftKey = (user, room) => `${DRAFT}${user}:${room}`;

/**
 * @param {string} key
 * @returns {Draft}
 */
export function readDraft(key) {
  const kept = recall(key);
  return {
    text: typeof kept?.text === "string" ? kept.text : "",
    reply: typeof kept?.reply?.seq === "number" ? kept.reply : null,
    files: list(kept?.files).filter((file) => typeof file?.id === "string" && typeof file.name === "string" && typeof file.bytes === "number"),
  };
}

/**
 * @param {string} key
 * @param {Draft} draft
 */
export function keepDraft(key, draft) {
  if (draft.text === "" && draft.reply === null && draft.files.length === 0) forget(key);
  else remember(key, draft);
}

/** The ids of all files that wait in drafts, whoever's. @returns {Set<string>} */
export function draftFiles() {
  /** @type {Set<string>} */
  const ids = new Set();
  try {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(DRAFT)) for (const file of readDraft(key).files) ids.add(file.id);
    }
  } catch {
    // No localStorage, no drafts.
  }
  return ids;
}
