/** Mentions: `@name` in a text, as the servers count them. */

/** The characters of a name. */
const RUN = /[A-Za-z0-9._-]{1,64}/y;
const NAME_CHARACTER = /[A-Za-z0-9._-]/;
const NAME_MAX = 32;

/**
 * The mention that begins at an `@`: the longest run of a name's characters, a full stop or hyphen at its end not counted
 * unless somebody has such a name.
 * @param {string} text
 * @param {number} at where an `@` stands
 * @param {(name: string) => boolean} known whether somebody has that name
 * @returns {{ text: string, name: string } | null}
 */
export function mentionAt(text, at, known) {
  if (at > 0 && NAME_CHARACTER.test(text[at - 1])) return null;
  RUN.lastIndex = at + 1;
  let run = RUN.exec(text)?.[0] ?? "";
  while (run !== "") {
    const name = run.toLowerCase();
    if (run.length <= NAME_MAX && known(name)) return { text: `@${run}`, name };
    if (!/[.-]$/.test(run)) return null;
    run = run.slice(0, -1);
  }
  return null;
}

/**
 * Whether a text mentions somebody.
 * @param {string} text
 * @param {string} name
 */
export function mentions(text, name) {
  for (let at = text.indexOf("@"); at >= 0; at = text.indexOf("@", at + 1)) {
    if (mentionAt(text, at, (found) => found === name)) return true;
  }
  return false;
}
