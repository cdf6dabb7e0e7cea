/** A small menu at a button or a point, in the page's top layer: arrows move, Escape closes, focus returns. */

import { boxOf, h, on } from "../dom.js";

/**
 * @param {DOMRect | { left: number, right: number, top: number, bottom: number }} at
 * @param {HTMLElement | null} opener gets the focus back
 * @param {string} label
 * @param {{ label: string, act: () => void, harm?: boolean }[]} items
 * @param {{ label: string, act: () => void }[]} [row] short ones, side by side, above the others
 * @param {string} [note] what there is to know, at the foot
 */
export function openMenu(at, opener, label, items, row = [], note = "") {
  closeMenu();
  const button = (/** @type {{ label: string, act: () => void, harm?: boolean }} */ { label: name, act, harm }, /** @type {string} */ kind) =>
    h(
      `button.${kind}${harm ? ".harm" : ""}`,
      {
        role: "menuitem",
        tabIndex: -1,
        onclick: () => {
          close(true);
          act();
        },
      },
      name,
    );
  const element = h(
    "div.menu",
    { role: "menu", "aria-label": label, popover: "manual" },
    row.length > 0 && h("div.menu-row", { role: "group" }, ...row.map((item) => button(item, "emoji-button"))),
    ...items.map((item) => button(item, "menu-item")),
    note && h("p.menu-note.hint", { role: "presentation" }, note),
  );
  const all = () => /** @type {HTMLElement[]} */ ([...element.querySelectorAll("[role=menuitem]")]);

  /** @param {boolean} back */
  const close = (back) => {
    offs.forEach((off) => off());
    element.remove();
    if (current === away) current = null;
    if (back && opener?.isConnected) opener.focus({ preventScroll: true });
  };
  const away = () => close(false);
  const outside = (/** @type {Event} */ event) => {
    if (!element.contains(/** @type {Node} */ (event.target))) close(false);
  };
  on(element, "keydown", (event) => {
    const items_ = all();
    const index = items_.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const inRow = index < row.length;
    const to = (/** @type {number} */ next) => items_[(next + items_.length) % items_.length]?.focus();
    if (event.key === "Escape" || event.key === "Tab") close(true);
    else if (event.key === "ArrowDown") to(inRow ? row.length : index + 1);
    else if (event.key === "ArrowUp") to(inRow ? items_.length - 1 : index - 1);
    else if (event.key === "ArrowRight" && inRow) to(Math.min(index + 1, row.length - 1));
    else if (event.key === "ArrowLeft" && inRow) to(Math.max(index - 1, 0));
    else if (event.key === "Home") to(0);
    else if (event.key === "End") to(items_.length - 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  // Where its opener is: a dialog's own menu works beside it, and no landmark lacks what belongs to it.
  (opener?.closest("dialog, main, nav, aside") ?? document.body).append(element);
  element.showPopover();
  place(element, at);
  all()[0]?.focus({ preventScroll: true });
  const offs = [on(document, "pointerdown", outside, true), on(window, "resize", away)];
  current = away;
}

/** @type {(() => void) | null} */
let current = null;

export function closeMenu() {
  current?.();
}

/**
 * @param {HTMLElement} element
 * @param {{ left: number, right: number, top: number, bottom: number }} at
 */
export function place(element, at) {
  const { width, height } = boxOf(element);
  const left = Math.max(8, Math.min(at.right - width, window.innerWidth - width - 8));
  const below = at.bottom + 4;
  const top = below + height < window.innerHeight - 8 ? below : Math.max(8, at.top - height - 4);
  element.style.setProperty("left", `${left}px`);
  element.style.setProperty("top", `${top}px`);
}
