/**
 * The service worker: keeps a copy of the page itself, so that it opens when the node it came from is down or no network
 * is there. The network comes first, so that a page is as new as its node; nothing of the chat is kept here.
 *
 * @typedef {Event & { waitUntil(promise: Promise<unknown>): void }} ExtendableEvent
 * @typedef {ExtendableEvent & { request: Request, respondWith(answer: Promise<Response>): void }} FetchEvent
 */

const CACHE = "page-2";
/** Which files the page is made of, as the node says. */
const SHELL = "/shell.json";
/** What is no part of the page. */
const NOT_THE_PAGE = /^\/(api|ws|health|metrics|peer)(\/|$)/;
/** A node that has not answered by then is as good as down. */
const NETWORK_MS = 1500;
/** And is not waited for again so soon. */
const DOWN_MS = 10_000;

let silentUntil = 0;

self.addEventListener("install", (event) => {
  const install = /** @type {ExtendableEvent} */ (event);
  install.waitUntil(renew().then(() => /** @type {any} */ (self).skipWaiting()));
});

self.addEventListener("activate", (event) => {
  const activate = /** @type {ExtendableEvent} */ (event);
  const tidy = async () => {
    for (const name of await caches.keys()) if (name !== CACHE) await caches.delete(name);
    await /** @type {any} */ (self).clients.claim();
  };
  activate.waitUntil(tidy());
});

self.addEventListener("fetch", (event) => {
  const fetching = /** @type {FetchEvent} */ (event);
  const { request } = fetching;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin || NOT_THE_PAGE.test(pathname)) return;
  fetching.respondWith(answer(request, pathname));
  // A page that came from a newer node: its other files too, also those that are loaded only when they are needed.
  if (request.mode === "navigate") fetching.waitUntil(renew().catch(() => undefined));
});

self.addEventListener("notificationclick", (event) => {
  const { notification } = /** @type {ExtendableEvent & { notification: Notification }} */ (event);
  notification.close();
  /** @type {ExtendableEvent} */ (event).waitUntil(goTo(notification.data));
});

/**
 * Brings the page to a message: the one that is open, or a new one.
 * @param {{ room: number, seq: number }} place
 */
async function goTo(place) {
  const clients = /** @type {any} */ (self).clients;
  const [open] = await clients.matchAll({ type: "window" });
  if (!open) return clients.openWindow(`/#/room/${place.room}/${place.seq}`);
  open.postMessage(place);
  return open.focus();
}

/** Takes all files of the page when they are others than those held. */
async function renew() {
  const cache = await caches.open(CACHE);
  const answer = await fetch(SHELL, { cache: "no-cache", signal: AbortSignal.timeout(NETWORK_MS * 4) });
  if (!answer.ok) throw new TypeError(`${SHELL}: ${answer.status}`);
  const copy = answer.clone();
  const { version, files } = await answer.json();
  const held = await cache.match(SHELL);
  if (held && (await held.json()).version === version) return;
  const paths = /** @type {string[]} */ (files).filter((file) => file !== "sw.js").map((file) => (file === "index.html" ? "/" : `/${file}`));
  await cache.addAll(paths.map((path) => new Request(path, { cache: "reload" })));
  await cache.put(SHELL, copy);
}

/**
 * @param {Request} request
 * @param {string} path
 */
async function answer(request, path) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(path);
  if (kept && Date.now() < silentUntil) return kept;
  try {
    const fresh = await fetch(request, kept ? { signal: AbortSignal.timeout(NETWORK_MS) } : {});
    if (fresh.ok && kept && path !== SHELL) await cache.put(path, fresh.clone());
    return fresh.ok || !kept ? fresh : kept;
  } catch (error) {
    if (!kept) throw error;
    silentUntil = Date.now() + DOWN_MS;
    return kept;
  }
}
