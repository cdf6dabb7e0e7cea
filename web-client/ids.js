/**
 * Ids of requests: UUIDv7, ordered by time, also within one millisecond and when the clock steps back.
 */

let last_ms = 0;
let counter = 0;

/** @returns {string} an id greater than every one this tab has drawn or been told of */
export function newId() {
  const now = Date.now();
  if (now > last_ms) {
    last_ms = now;
    counter = random(1)[0] & 0x7f;
  } else if (++counter > 0xfff) {
    last_ms += 1;
    counter = 0;
  }
  return format(last_ms, counter, random(8));
}

/**
 * Ids drawn from now on come after this one: an outbox read from the disk keeps its order.
 * @param {string} id
 */
export function drawAfter(id) {
  const ms = Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16);
  if (ms > last_ms) {
    last_ms = ms;
    counter = 0xfff;
  }
}

/** @param {number} bytes */
function random(bytes) {
  return crypto.getRandomValues(new Uint8Array(bytes));
}

/**
 * @param {number} ms
 * @param {number} count 12 bits
 * @param {Uint8Array} tail 8 bytes
 */
function format(ms, count, tail) {
  tail[0] = (tail[0] & 0x3f) | 0x80;
  const hex = [...tail].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const time = ms.toString(16).padStart(12, "0");
  const version = (0x7000 | count).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}-${hex.slice(0, 4)}-${hex.slice(4)}`;
}
