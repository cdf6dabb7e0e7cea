/** Links that let somebody in: `#create=…`, `#invite=…` and `#reset=…` behind the page's address. */

/** @typedef {{ kind: "create" | "invite" | "reset", token: string }} Link */

const LINK = /^#(create|invite|reset)=([\w.~-]{1,200})$/;

/**
 * @param {string} hash
 * @returns {Link | null}
 */
export function readLink(hash) {
  const match = LINK.exec(hash);
  return match && { kind: /** @type {Link["kind"]} */ (match[1]), token: match[2] };
}

/**
 * Why a link does not work, as far as the server's sentence says.
 * @param {string} message
 * @returns {{ why: "revoked" | "used" | "expired" | "name" | "wrong", name: string }}
 */
export function whyNot(message) {
  const name = /creates the account (\S+)/.exec(message)?.[1];
  if (name) return { why: "name", name };
  const why = /revoked/.test(message) ? "revoked" : /used already/.test(message) ? "used" : /expired/.test(message) ? "expired" : "wrong";
  return { why, name: "" };
}
