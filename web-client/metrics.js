/** A node's own figures, as `/metrics` tells them, and how they moved: plain functions and one struct, no clock. */

/** So many samples are kept and drawn. */
export const SAMPLES = 60;

const LINE = /^(chat_actor_mailbox_messages|chat_actor_handle_seconds_sum|chat_actor_handle_seconds_count)\{actor="([^"]*)"[^}]*\} (\S+)$/;
const PLAIN = /^(chat_sessions|chat_proposal_seconds_sum|chat_proposal_seconds_count|process_resident_memory_bytes|process_cpu_seconds_total) (\S+)$/;

/**
 * @typedef {{ waiting: number, seconds: number, count: number }} Actor  sums since the node started
 * @typedef {{ time: number, actors: Map<string, Actor>, plain: Map<string, number> }} Sample
 * @typedef {{ waiting: number[], rate: number[], micros: number[] }} Course  the newest at the end
 */

/**
 * @param {string} text in the format of Prometheus
 * @param {number} time when it was read, in milliseconds
 * @returns {Sample}
 */
export function readMetrics(text, time) {
  /** @type {Sample} */
  const sample = { time, actors: new Map(), plain: new Map() };
  for (const line of text.split("\n")) {
    // Most lines are buckets and comments.
    if (!line.startsWith("chat_") && !line.startsWith("process_")) continue;
    const plain = PLAIN.exec(line);
    if (plain) sample.plain.set(plain[1], Number(plain[2]));
    const match = plain ? null : LINE.exec(line);
    const value = Number(match?.[3]);
    if (!match || !Number.isFinite(value)) continue;
    const actor = sample.actors.get(match[2]) ?? { waiting: 0, seconds: 0, count: 0 };
    if (match[1].endsWith("messages")) actor.waiting += value;
    else if (match[1].endsWith("sum")) actor.seconds += value;
    else actor.count += value;
    sample.actors.set(match[2], actor);
  }
  return sample;
}

export class History {
  /** @type {Sample | null} */
  #last = null;
  /** @type {Map<string, Course>} */
  actors = new Map();

  /** @param {Sample} sample */
  add(sample) {
    const before = this.#last;
    this.#last = sample;
    const seconds = before ? (sample.time - before.time) / 1000 : 0;
    for (const [name, now] of sample.actors) {
      const course = this.actors.get(name) ?? { waiting: [], rate: [], micros: [] };
      this.actors.set(name, course);
      push(course.waiting, now.waiting);
      const then = before?.actors.get(name);
      // Sums that fell belong to a node that started anew.
      if (!then || seconds <= 0 || now.count < then.count) continue;
      const handled = now.count - then.count;
      push(course.rate, handled / seconds);
      push(course.micros, handled === 0 ? 0 : Math.max(0, now.seconds - then.seconds) / handled * 1e6);
    }
  }
}

/**
 * @param {number[]} values
 * @param {number} value
 */
function push(values, value) {
  values.push(value);
  if (values.length > SAMPLES) values.shift();
}

/**
 * A line through values, as the points of an SVG polyline: the newest at the right edge, zero at the foot.
 * @param {readonly number[]} values
 * @param {number} width
 * @param {number} height
 */
export function points(values, width, height) {
  const most = Math.max(1e-9, ...values);
  const step = width / (SAMPLES - 1);
  return values.map((value, at) => `${round(width - (values.length - 1 - at) * step)},${round(height - (value / most) * height)}`).join(" ");
}

/** @param {number} value */
const round = (value) => Math.round(value * 10) / 10;
