/** What is seldom wanted is loaded when it is. Once the page was open with a node there, the service worker has all of it. */

import { h, isAsked, on } from "../dom.js";
import { words } from "../words.js";
import { tell } from "./dialogs.js";

/**
 * @template Module
 * @param {() => Promise<Module>} load
 * @returns {Promise<Module | null>} null when it cannot be had now, which has been said
 */
async function loaded(load) {
  try {
    return await load();
  } catch {
    tell(words.lazy.heading, words.lazy.text);
    return null;
  }
}

/** @type {(...what: Parameters<typeof import("./emoji_picker.js").pickEmoji>) => Promise<void>} */
export async function pickEmoji(...what) {
  (await loaded(() => import("./emoji_picker.js")))?.pickEmoji(...what);
}

/** @type {(...what: Parameters<typeof import("./switcher.js").openSwitcher>) => Promise<void>} */
export async function openSwitcher(...what) {
  const module = await loaded(() => import("./switcher.js"));
  // Asked for twice before it came.
  if (!isAsked()) module?.openSwitcher(...what);
}

/** @type {(...what: Parameters<typeof import("./settings.js").openSettings>) => Promise<void>} */
export async function openSettings(...what) {
  const module = await loaded(async () => (await Promise.all([import("./settings.js"), styled("/settings.css")]))[0]);
  await module?.openSettings(...what);
}

/** @type {(...what: Parameters<typeof import("./programs.js").openPrograms>) => Promise<void>} */
export async function openPrograms(...what) {
  const module = await loaded(async () => (await Promise.all([import("./programs.js"), styled("/settings.css")]))[0]);
  await module?.openPrograms(...what);
}

/** @type {(...what: Parameters<typeof import("./versions.js").openVersions>) => Promise<void>} */
export async function openVersions(...what) {
  await (await loaded(() => import("./versions.js")))?.openVersions(...what);
}

/** @type {(...what: Parameters<typeof import("./edit_room.js").editRoom>) => Promise<void>} */
export async function editRoom(...what) {
  (await loaded(() => import("./edit_room.js")))?.editRoom(...what);
}

export const peopleModule = () => loaded(() => import("./people.js"));
export const searchModule = () => loaded(() => import("./search.js"));

/**
 * @param {string} href a style sheet of ours
 * @returns {Promise<void>} once it is there
 */
function styled(href) {
  if (document.querySelector(`link[href="${href}"]`)) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const link = h("link", { rel: "stylesheet", href });
    on(link, "load", () => resolve());
    on(link, "error", () => {
      link.remove();
      reject(new TypeError(href));
    });
    document.head.append(link);
  });
}
