/**
 * The few helpers the views build with. Text goes in as text; there is no way to hand in markup.
 *
 * @typedef {Node | string | null | undefined | false} Child
 * @typedef {Record<string, any>} Props  attributes; `on…` listeners; `class`, `text`, and properties such as `value` by their names
 */

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "tabIndex", "htmlFor", "required", "maxLength", "open"]);

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Props} [props]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) /** @type {any} */ (element)[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter(isThere));
  return element;
}

/**
 * Words for those who do not see the picture beside them.
 * @param {string} text
 */
export function unseen(text) {
  return h("span", { class: "unseen" }, text);
}

/**
 * @param {Element} element
 * @param {Record<string, string | number | boolean | null>} attributes null and false take one away
 */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === false) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value === true ? "" : String(value));
  }
}

/** @type {WeakMap<Element, Map<string, HTMLElement>>} */
const keyedChildren = new WeakMap();

/**
 * Makes the children of an element those of a list, by key: what stays is updated in place and keeps its focus.
 * Children that came there otherwise are left where they stand.
 * @template Item
 * @param {Element} parent
 * @param {readonly Item[]} items
 * @param {object} how
 * @param {(item: Item) => string} how.key
 * @param {(item: Item) => HTMLElement} how.create
 * @param {(element: HTMLElement, item: Item) => void} [how.update] also called after `create`
 */
export function keyed(parent, items, { key, create, update }) {
  const before = keyedChildren.get(parent) ?? new Map();
  /** @type {Map<string, HTMLElement>} */
  const after = new Map();
  for (const item of items) {
    const name = key(item);
    const element = before.get(name) ?? create(item);
    update?.(element, item);
    after.set(name, element);
  }
  for (const [name, element] of before) if (!after.has(name)) element.remove();
  const ours = new Set(after.values());
  let place = parent.firstElementChild;
  for (const element of ours) {
    while (place && !ours.has(/** @type {HTMLElement} */ (place))) place = place.nextElementSibling;
    if (element === place) place = place.nextElementSibling;
    else parent.insertBefore(element, place);
  }
  keyedChildren.set(parent, after);
}

const fitsItself = CSS.supports("field-sizing", "content");

/**
 * Makes a text box as high as its text, where the style sheet alone does not.
 * @param {HTMLTextAreaElement} box
 */
export function fitText(box) {
  if (fitsItself) return;
  box.style.setProperty("height", "auto");
  box.style.setProperty("height", `${box.scrollHeight + box.offsetHeight - box.clientHeight}px`);
}

/**
 * Runs a view's update once for many changes, with the next picture, or soon when nobody looks.
 * @param {() => void} update
 * @returns {() => void} asks for it
 */
export function soon(update) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    let done = false;
    const run = () => {
      if (done) return;
      done = true;
      asked = false;
      update();
    };
    requestAnimationFrame(run);
    setTimeout(run, 60);
  };
}

/**
 * @param {Child} child
 * @returns {child is Node | string}
 */
function isThere(child) {
  return child !== null && child !== undefined && child !== false;
}
