/** Times as people read them, in the reader's own language and zone. */

import { locale } from "./language.js";

const MINUTE_MS = 60_000;
const GROUP_MS = 5 * MINUTE_MS;

const clock = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
const full = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short" });
const shortDay = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
const shortDate = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
const thisYear = new Intl.DateTimeFormat(locale, { weekday: "long", day: "numeric", month: "long" });
const otherYear = new Intl.DateTimeFormat(locale, { dateStyle: "long" });

/** @param {number} time Unix milliseconds */
export const clockTime = (time) => clock.format(time);

/**
 * The same without what a clock of twelve hours adds, for where there is little room.
 * @param {number} time Unix milliseconds
 */
export const tightTime = (time) => clock.formatToParts(time).filter(({ type }) => type !== "dayPeriod").map(({ value }) => value).join("").trim();

/** @param {number} time Unix milliseconds */
export const fullTime = (time) => full.format(time);

/**
 * As short as it can be and still be understood: a time today, else a date.
 * @param {number} time Unix milliseconds
 * @param {number} [now]
 */
export function shortTime(time, now = Date.now()) {
  if (dayKey(time) === dayKey(now)) return clock.format(time);
  return (new Date(time).getFullYear() === new Date(now).getFullYear() ? shortDay : shortDate).format(time);
}

/**
 * A key that two times share when they fall on the same day here.
 * @param {number} time Unix milliseconds
 */
export function dayKey(time) {
  const date = new Date(time);
  return `${date.getFullYear()}-${date.getMonth() + 1}-${date.getDate()}`;
}

/**
 * @param {number} time
 * @param {number} now
 * @param {{ today: string, yesterday: string }} words
 */
export function dayName(time, now, words) {
  if (dayKey(time) === dayKey(now)) return words.today;
  const before = new Date(now);
  before.setDate(before.getDate() - 1);
  if (dayKey(time) === dayKey(before.getTime())) return words.yesterday;
  const sameYear = new Date(time).getFullYear() === new Date(now).getFullYear();
  return (sameYear ? thisYear : otherYear).format(time);
}

/**
 * Whether a message stands under the same name as the one before it.
 * @param {{ from: string, time: number }} before
 * @param {{ from: string, time: number }} after
 */
export function sameGroup(before, after) {
  return before.from === after.from && after.time - before.time < GROUP_MS && dayKey(before.time) === dayKey(after.time);
}
