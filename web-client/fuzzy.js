/** How well what was typed fits a name: letters in order, best where words begin. */

/**
 * @param {string} typed
 * @param {string} name
 * @returns {number} higher is better; 0 when it does not fit
 */
export function fit(typed, name) {
  const wanted = folded(typed);
  const given = folded(name);
  if (wanted === "") return 1;
  if (given === wanted) return 1000;
  if (given.startsWith(wanted)) return 900 - given.length / 10;
  const inside = given.indexOf(wanted);
  if (inside > 0) return (atWord(given, inside) ? 800 : 600) - given.length / 10;
  let at = 0;
  let score = 0;
  for (const character of wanted) {
    const found = given.indexOf(character, at);
    if (found < 0) return 0;
    score += found === at && at > 0 ? 3 : atWord(given, found) ? 2 : 0;
    at = found + 1;
  }
  return 100 + score - given.length / 10;
}

/**
 * Those that fit, best first; among equals the order stays.
 * @template Item
 * @param {string} typed
 * @param {readonly Item[]} items
 * @param {(item: Item) => string[]} names
 * @param {number} limit
 * @returns {Item[]}
 */
export function best(typed, items, names, limit) {
  const scored = items.map((item) => ({ item, score: Math.max(0, ...names(item).map((name) => fit(typed, name))) }));
  return scored.filter(({ score }) => score > 0).sort((a, b) => b.score - a.score).slice(0, limit).map(({ item }) => item);
}

/** Without case and accents. @param {string} text */
function folded(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/**
 * @param {string} text
 * @param {number} at
 */
function atWord(text, at) {
  return at === 0 || !/[\p{L}\p{N}]/u.test(text[at - 1]);
}
