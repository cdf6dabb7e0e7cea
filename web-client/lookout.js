/**
 * Asks nodes how the cluster stands, without being logged in there.
 */

import { readCluster } from "./frames.js";

const LOOK_MS = 2000;

/**
 * @param {string} node its public URL
 * @returns {Promise<{ node: string, cluster: import("./types.js").Cluster } | null>} null when it does not answer
 */
export async function askCluster(node) {
  try {
    const answer = await fetch(`${node}/api/v1/cluster`, { signal: AbortSignal.timeout(LOOK_MS), cache: "no-store" });
    const json = await answer.json();
    const cluster = readCluster(json);
    return cluster && { cluster, node: typeof json.node === "string" ? json.node : "the server" };
  } catch {
    return null;
  }
}
