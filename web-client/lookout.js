/**
 * Asks nodes without being logged in there: how the cluster stands, or what needs no session.
 */

import { readCluster } from "./frames.js";
import { noAnswer, refused } from "./refusal.js";
import { words } from "./words.js";

const LOOK_MS = 2000;
const CHANGE_MS = 6000;

/**
 * @param {string} node its public URL
 * @returns {Promise<{ node: string, cluster: import("./types.js").Cluster } | null>} null when it does not answer
 */
export async function askCluster(node) {
  try {
    const answer = await fetch(`${node}/api/v1/cluster`, { signal: AbortSignal.timeout(LOOK_MS), cache: "no-store" });
    const json = await answer.json();
    const cluster = readCluster(json);
    return cluster && { cluster, node: typeof json.node === "string" ? json.node : words.status.someNode };
  } catch {
    return null;
  }
}

/**
 * A change over HTTP, asked of one node after the other, always with the same id.
 * @param {string[]} nodes their public URLs
 * @param {string} op
 * @param {Record<string, unknown>} fields
 * @param {string} id
 * @returns {Promise<Record<string, any>>} rejects with a `Refusal`
 */
export async function askAnywhere(nodes, op, fields, id) {
  let last = noAnswer();
  for (const node of new Set(nodes)) {
    try {
      const answer = await fetch(`${node}/api/v1/${op}`, {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": id },
        body: JSON.stringify(fields),
        signal: AbortSignal.timeout(CHANGE_MS),
      });
      const said = await answer.json();
      if (answer.ok) return said;
      last = refused(answer.status, said);
    } catch {
      last = noAnswer();
    }
    if (!last.problem.retry) break;
  }
  throw last;
}
