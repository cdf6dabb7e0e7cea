/**
 * A request that was not done, with the server's own problem or one that arose here.
 *
 * @typedef {import("./types.js").Problem} Problem
 */

import { readProblem } from "./frames.js";

export class Refusal extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(problem.message || problem.code);
    this.problem = problem;
  }
}

/**
 * What an answer over HTTP says that is none of success.
 * @param {number} status
 * @param {any} said
 */
export const refused = (status, said) => new Refusal(readProblem(said.error ?? { code: status >= 500 ? "unavailable" : "bad_request", retry: status >= 500 }));

/** No answer came; whether it was done is not known. */
export const noAnswer = () => new Refusal({ code: "timeout", message: "", retry: true });

/**
 * @param {unknown} error
 * @returns {Problem}
 */
export function problemOf(error) {
  if (error instanceof Refusal) return error.problem;
  return { code: "internal", message: error instanceof Error ? error.message : String(error), retry: false };
}
