/**
 * Places in the chat as the page's address names them: `#/room/12`, and `#/room/12/34` for a message in it.
 * The same address works on every node.
 */

const PLACE = /^#\/room\/(\d{1,15})(?:\/(\d{1,15}))?$/;

/**
 * @param {number} room
 * @param {number | null} [seq] a message in it
 */
export function placeLink(room, seq = null) {
  return seq === null ? `#/room/${room}` : `#/room/${room}/${seq}`;
}

/**
 * @param {string} hash the part of the address behind the page
 * @returns {{ room: number, seq: number | null } | null} null when it names no place
 */
export function readPlace(hash) {
  const match = PLACE.exec(hash);
  return match && { room: Number(match[1]), seq: match[2] === undefined ? null : Number(match[2]) };
}

/**
 * The place that a link leads to when it is one to this chat, on whichever of its nodes.
 * @param {string} href an address that can be read
 * @param {readonly string[]} nodes their public URLs
 */
export function placeOf(href, nodes) {
  const { origin, pathname, hash } = new URL(href);
  return pathname === "/" && nodes.includes(origin) ? readPlace(hash) : null;
}

/**
 * Goes to a room, or to a message in it: the address changes, and the page follows its address.
 * @param {number} room
 * @param {number | null} [seq]
 */
export function jump(room, seq = null) {
  const link = placeLink(room, seq);
  if (location.hash !== link) history.pushState(null, "", link);
  window.dispatchEvent(new PopStateEvent("popstate"));
}
