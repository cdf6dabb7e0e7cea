/** How things stand, always in words, in one place that never moves. */

import { write } from "../dom.js";
import { words } from "../words.js";

/** Shorter losses of the connection are not worth a word. */
const QUIET_MS = 400;

/**
 * @param {import("../store.js").Store} store
 * @param {HTMLElement} element the one with the role `status`
 */
export function statusView(store, element) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const show = () => {
    timer = undefined;
    const said = statusText(store.status, store.waiting);
    write(element, said);
    element.dataset.state = stateOf(store.status);
  };
  const update = () => {
    const lost = store.status.phase === "lost";
    if (lost && element.dataset.state !== "lost") {
      timer ??= setTimeout(show, QUIET_MS);
      return;
    }
    clearTimeout(timer);
    show();
  };
  store.on("status", update);
  show();
}

/**
 * @param {import("../store.js").Store["status"]} status
 * @param {number} waiting
 */
export function statusText(status, waiting) {
  const text = words.status;
  if (status.phase === "connecting") return text.connecting;
  if (status.phase === "lost") return text.reconnecting;
  if (status.phase === "stopped") return text.stopped;
  return status.quorum ? text.connected(status.node) : text.noMajority(waiting);
}

/** @param {import("../store.js").Store["status"]} status */
function stateOf(status) {
  return status.phase === "connected" && !status.quorum ? "reading" : status.phase;
}
