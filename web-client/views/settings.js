/** Settings: what one keeps for oneself, what an admin keeps for all, and how the cluster is. */

import { h, on, set } from "../dom.js";
import { settingsWords, speakSettings } from "../settings_words.js";
import { words } from "../words.js";
import { accountView } from "./account.js";
import { adminPeopleView } from "./admin_people.js";
import { adminRoomsView } from "./admin_rooms.js";
import { clusterView } from "./cluster.js";
import { iconButton, showDialog } from "./controls.js";
import { preferencesView } from "./preferences.js";
import { registrationView } from "./registration.js";
import { sessionsView } from "./sessions.js";

/**
 * @typedef {object} Context
 * @property {import("../chat.js").Chat} chat
 * @property {import("../store.js").Store} store
 * @property {(text: string) => void} announce
 * @property {() => void} close
 *
 * @typedef {{ element: HTMLElement, stop?: () => void }} Section
 *
 * @typedef {keyof typeof settingsWords.settings.tabs} Tab
 */

/** @type {{ tab: Tab, admin: boolean, view: (context: Context) => Section }[]} */
const SECTIONS = [
  { tab: "account", admin: false, view: accountView },
  { tab: "preferences", admin: false, view: preferencesView },
  { tab: "sessions", admin: false, view: sessionsView },
  { tab: "people", admin: true, view: adminPeopleView },
  { tab: "rooms", admin: true, view: adminRoomsView },
  { tab: "registration", admin: true, view: registrationView },
  { tab: "cluster", admin: false, view: clusterView },
];

/**
 * @param {object} context
 * @param {import("../chat.js").Chat} context.chat
 * @param {import("../store.js").Store} context.store
 * @param {(text: string) => void} context.announce
 * @param {Tab} [first]
 */
export async function openSettings({ chat, store, announce }, first = "account") {
  await speakSettings();
  const text = settingsWords.settings;
  const open = SECTIONS.filter(({ admin }) => !admin || store.me?.role === "admin");
  const heading = h("h2", { id: "settings-heading" }, words.nav.settings);
  // The page behind a dialog is silent, so what happens in it is told in it.
  const told = h("div.unseen", { "aria-live": "polite" });
  const tell = (/** @type {string} */ what) => {
    announce("");
    told.textContent = what;
  };
  const tabs = open.map(({ tab }) =>
    h("button.tab", { role: "tab", id: `tab-${tab}`, "aria-controls": "settings-panel", onclick: () => show(tab) }, text.tabs[tab]),
  );
  const list = h("div.tabs", { role: "tablist", "aria-labelledby": "settings-heading", "aria-orientation": "vertical" }, ...tabs);
  const panel = h("div.settings-panel", { role: "tabpanel", id: "settings-panel", tabIndex: 0 });
  const closeButton = iconButton("close", text.close, () => element.close());
  const element = h("dialog.dialog.settings", { "aria-labelledby": "settings-heading" }, h("div.settings-head", heading, closeButton), list, panel, told);
  /** @type {Section | null} */
  let section = null;

  /** @param {Tab} tab */
  function show(tab) {
    section?.stop?.();
    tabs.forEach((button, at) => {
      const chosen = open[at].tab === tab;
      set(button, { "aria-selected": String(chosen), tabindex: chosen ? 0 : -1 });
    });
    section = open.find((one) => one.tab === tab)?.view({ chat, store, announce: tell, close: () => element.close() }) ?? null;
    panel.replaceChildren(...(section ? [section.element] : []));
    panel.scrollTop = 0;
    set(panel, { "aria-labelledby": `tab-${tab}` });
  }

  on(list, "keydown", (event) => {
    const at = tabs.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
    const step = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (step === undefined || at < 0) return;
    event.preventDefault();
    const next = (step + tabs.length) % tabs.length;
    tabs[next].focus();
    show(open[next].tab);
  });
  const off = store.on("session", () => element.close());
  on(element, "close", () => {
    off();
    section?.stop?.();
  });
  showDialog(element);
  show(first);
  tabs[Math.max(0, open.findIndex(({ tab }) => tab === first))]?.focus();
}
