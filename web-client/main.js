/** Where the page begins: one store, one chat, and the view that fits who is there. */

import { Chat } from "./chat.js";
import { on } from "./dom.js";
import { readLink } from "./links.js";
import { jump } from "./jump.js";
import { notices } from "./notices.js";
import { Store } from "./store.js";
import { appView } from "./views/app.js";
import { loginView } from "./views/login.js";
import { statusView } from "./views/status.js";
import { speak, words } from "./words.js";

const LOOK_MS = 3000;

await speak();

const store = new Store();
const chat = new Chat(store, location.origin);

/** @param {string} id */
const byId = (id) => {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no element ${id}`);
  return element;
};
const view = byId("view");
const announcer = byId("announcer");
const roomsButton = /** @type {HTMLButtonElement} */ (byId("rooms-button"));
byId("skip").textContent = words.nav.skip;
on(byId("skip"), "click", (event) => {
  // The address names the open room, so it is not for this link to change.
  event.preventDefault();
  const first = document.querySelector("#conversation textarea, #conversation button");
  if (first instanceof HTMLElement) first.focus();
});
byId("brand").textContent = words.product;
byId("rooms-label").textContent = words.nav.rooms;
roomsButton.setAttribute("aria-controls", "rooms");
statusView(store, byId("status"));

/** @param {string} text */
const announce = (text) => {
  announcer.textContent = text;
};

/** @type {ReturnType<typeof appView> | null} */
let app = null;

function show() {
  app?.stop();
  app = null;
  document.body.classList.toggle("logged-in", store.me !== null);
  if (store.me) {
    // A link that was used has done what it can.
    if (readLink(location.hash)) history.replaceState(null, "", location.pathname);
    app = appView({ chat, store, view, roomsButton, announce });
    return;
  }
  document.title = words.product;
  view.replaceChildren(loginView(chat, readLink(location.hash), withoutLink));
  store.setStatus({ phase: "connecting", quorum: true });
  void chat.look();
}

function withoutLink() {
  history.replaceState(null, "", location.pathname);
  if (!chat.resume()) show();
}

store.on("session", show);
// Somebody who opens a link wants what it leads to, also where another person is logged in.
if (readLink(location.hash) || !chat.resume()) show();
on(window, "hashchange", () => readLink(location.hash) && location.reload());

notices({ store, go: jump });
navigator.serviceWorker?.addEventListener("message", ({ data }) => {
  if (typeof data?.room === "number" && typeof data.seq === "number") jump(data.room, data.seq);
});

setInterval(() => {
  if (document.hidden) return;
  if (!store.me) void chat.look();
  else if (!store.status.quorum) void chat.lookForMajority();
}, LOOK_MS);

const wake = () => {
  if (!document.hidden && navigator.onLine) chat.wake();
};
on(document, "visibilitychange", () => document.hidden && chat.rest());
on(window, "online", wake);
// A node may still be within reach, on this machine or in this house: it is asked.
on(window, "offline", () => chat.wake());
on(window, "pageshow", wake);
on(document, "visibilitychange", wake);

// With the keyboard on the screen, the page is as high as what is left of it.
const { visualViewport } = window;
if (visualViewport) {
  const fit = () => {
    // Someone who zooms in with two fingers wants a larger page, not a smaller window.
    if (visualViewport.scale < 1.01) document.documentElement.style.setProperty("--height", `${visualViewport.height}px`);
  };
  on(visualViewport, "resize", fit);
}

void keepOpenable();

/** Lets the page open when its node is down. */
async function keepOpenable() {
  if (!("serviceWorker" in navigator)) return;
  /** @type {any} */
  const types = /** @type {any} */ (window).trustedTypes;
  const script = "/sw.js";
  const policy = types?.createPolicy("chat", {
    createScriptURL(/** @type {string} */ url) {
      if (url !== script) throw new TypeError("only the service worker");
      return url;
    },
  });
  try {
    await navigator.serviceWorker.register(policy ? policy.createScriptURL(script) : script);
  } catch {
    // Without it the page works, as long as its node is there when it is opened.
  }
}
