/**
 * A request that was not done, with the server's own problem or one that arose here.
 *
 * @typedef {import("./types.js").Problem} Problem
 */
export class Refusal extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(problem.message || problem.code);
    this.problem = problem;
  }
}

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
