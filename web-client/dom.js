/**
 * The few helpers the views build with. Text goes in as text; there is no way to hand in markup.
 *
 * @typedef {Node | string | null | undefined | false} Child
 * @typedef {Record<string, any>} Props  attributes; `on…` listeners; and properties such as `value` by their names
 */

/**
 * The element of a tag that may have classes behind it.
 * @template {string} What
 * @typedef {HTMLElementTagNameMap[(What extends `${infer Tag}.${string}` ? Tag : What) & keyof HTMLElementTagNameMap]} Made
 */

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "tabIndex", "htmlFor", "required", "maxLength", "open"]);

/**
 * Makes an element: `h("p.hint", { dir: "auto" }, text)`, and without attributes `h("p.hint", text)`. A button submits nothing
 * unless its `type` says so.
 * @template {string} What
 * @param {What} what a tag, and its classes behind dots
 * @param {Props | Child} [props]
 * @param {...Child} children
 * @returns {Made<What>}
 */
export function h(what, props, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag);
  if (classes.length > 0) element.className = classes.join(" ");
  if (tag === "button") element.setAttribute("type", tag);
  const plain = props?.constructor === Object;
  for (const [name, value] of Object.entries(plain ? props : {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) on(element, name.slice(2), value);
    else if (PROPERTIES.has(name)) /** @type {any} */ (element)[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  if (!plain) children.unshift(/** @type {Child} */ (props));
  element.append(...children.filter(isThere));
  return /** @type {any} */ (element);
}

/**
 * Listens to what happens somewhere.
 * @template {string} Name
 * @param {EventTarget} target
 * @param {Name} name
 * @param {(event: Name extends keyof GlobalEventHandlersEventMap ? GlobalEventHandlersEventMap[Name] : any) => unknown} listener
 * @param {boolean | AddEventListenerOptions} [options]
 * @returns {() => void} stops listening
 */
export function on(target, name, listener, options) {
  const handler = /** @type {EventListener} */ (listener);
  target.addEventListener(name, handler, options);
  return () => target.removeEventListener(name, handler, options);
}

/**
 * Words for those who do not see the picture beside them.
 * @param {string} text
 */
export function unseen(text) {
  return h("span.unseen", text);
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

/**
 * Says something in an element, which is left alone when it says so already.
 * @param {Element} element
 * @param {unknown} text
 */
export function write(element, text) {
  if (element.textContent !== String(text)) element.textContent = String(text);
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

/** Of a text that runs the way it was written in. */
export const auto = { dir: "auto" };

/**
 * For a link into this page: a plain press acts here, any other is the browser's.
 * @param {() => void} act
 */
export const pressed = (act) => (/** @type {MouseEvent} */ event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  act();
};

/** Where it stands in the window. @param {Element} element */
export const boxOf = (element) => element.getBoundingClientRect();

/** Whether the navigation stands beside the conversation, and lies over nothing. */
export const wide = () => matchMedia("(min-width: 56.25em)");

/** Whether the page is touched. On such a one the keyboard on the screen comes when asked for. */
export const touched = () => matchMedia("(pointer: coarse)").matches;

/** Whether somebody looks at the page. */
export const watched = () => !document.hidden && document.hasFocus();

/** Whether a dialog is open. */
export const isAsked = () => document.querySelector("dialog[open]") !== null;

/**
 * Makes a text box as high as its text, where the style sheet alone does not.
 * @param {HTMLTextAreaElement} box
 */
export function fitText(box) {
  if (CSS.supports("field-sizing", "content")) return;
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
