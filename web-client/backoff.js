/**
 * When to try again and where: the rules of the contract as plain functions, with the dice handed in.
 */

export const FIRST_PAUSE_MS = 500;
export const LONGEST_PAUSE_MS = 15_000;

/**
 * The pause before a try: the first within a random half second, then doubling up to 15 s.
 * @param {number} failures tries that failed since the last connection
 * @param {() => number} dice 0 ≤ x < 1
 * @returns {number} milliseconds
 */
export function pause(failures, dice) {
  const ceiling = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures, 10));
  // Later pauses keep at least half of their length, so that a crowd spreads without hurrying.
  const floor = failures === 0 ? 0 : ceiling / 2;
  return Math.round(floor + dice() * (ceiling - floor));
}

/**
 * Which node to try: one that has not failed in this round, better one that the cluster calls up.
 * @param {readonly string[]} nodes public URLs
 * @param {ReadonlySet<string>} failed tried in this round, in vain
 * @param {ReadonlySet<string>} down not up, as the cluster last said
 * @param {() => number} dice
 * @returns {string | null} null when every node has failed in this round
 */
export function choose(nodes, failed, down, dice) {
  const left = nodes.filter((node) => !failed.has(node));
  const up = left.filter((node) => !down.has(node));
  const from = up.length > 0 ? up : left;
  return from.length > 0 ? from[Math.floor(dice() * from.length)] : null;
}

/** @typedef {"elsewhere" | "stop" | "logged out"} AfterClose */

/**
 * What a close code asks of the page.
 * @param {number} code
 * @returns {AfterClose}
 */
export function afterClose(code) {
  if (code === 4503) return "logged out";
  if (code === 1009 || code === 4500 || code === 4501) return "stop";
  return "elsewhere";
}

/**
 * A public URL in the form in which nodes are compared: its origin.
 * @param {string} url
 * @returns {string | null}
 */
export function nodeOrigin(url) {
  try {
    const parsed = new URL(url);
    return parsed.protocol === "http:" || parsed.protocol === "https:" ? parsed.origin : null;
  } catch {
    return null;
  }
}

/** @param {string} node a node's origin */
export function socketUrl(node) {
  return `${node.replace(/^http/, "ws")}/ws`;
}

/** @param {number} ms */
export const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
