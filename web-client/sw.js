/**
 * The service worker: keeps a copy of the page itself, so that it opens when the node it came from is down.
 * The network comes first, so that a page is as new as its node; nothing of the chat is kept here.
 *
 * @typedef {Event & { waitUntil(promise: Promise<unknown>): void }} ExtendableEvent
 * @typedef {ExtendableEvent & { request: Request, respondWith(answer: Promise<Response>): void }} FetchEvent
 */

const CACHE = "page-1";
/** A node that has not answered by then is as good as down. */
const NETWORK_MS = 1500;
/** And is not waited for again so soon. */
const DOWN_MS = 10_000;

const SHELL = [
  "/", "/base.css", "/conversation.css", "/icon.svg", "/layout.css", "/settings.css", "/writing.css", "/backoff.js",
  "/blobs.js", "/chat.js", "/db.js", "/dom.js", "/draft.js", "/emoji.js", "/frames.js", "/fuzzy.js", "/icons.js", "/ids.js",
  "/jump.js", "/links.js", "/lookout.js", "/main.js", "/markup.js", "/media.js", "/mentions.js", "/metrics.js", "/outbox.js",
  "/pending.js", "/query.js", "/queue.js", "/reader.js", "/refusal.js", "/rooms.js", "/search.js", "/sizes.js", "/socket.js",
  "/store.js", "/text.js", "/time.js", "/uploads.js", "/words.js", "/views/account.js", "/views/actions.js",
  "/views/admin_people.js", "/views/admin_rooms.js", "/views/app.js", "/views/attached.js", "/views/avatar.js",
  "/views/cluster.js", "/views/completion.js", "/views/composer.js", "/views/conversation.js", "/views/dialog.js",
  "/views/dialogs.js", "/views/editor.js", "/views/emoji_picker.js", "/views/files.js", "/views/form.js", "/views/link_box.js",
  "/views/list.js", "/views/login.js", "/views/markup.js", "/views/menu.js", "/views/message.js", "/views/people.js",
  "/views/preferences.js", "/views/registration.js", "/views/search.js", "/views/sessions.js", "/views/settings.js",
  "/views/sidebar.js", "/views/sources.js", "/views/status.js", "/views/switcher.js",
];

let silentUntil = 0;

self.addEventListener("install", (event) => {
  const install = /** @type {ExtendableEvent} */ (event);
  install.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(SHELL.map((path) => new Request(path, { cache: "reload" }))))
      .then(() => /** @type {any} */ (self).skipWaiting()),
  );
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
  const { request, respondWith } = /** @type {FetchEvent} */ (event);
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  const path = request.mode === "navigate" && url.pathname === "/" ? "/" : url.pathname;
  if (!SHELL.includes(path)) return;
  respondWith.call(event, answer(request, path));
});

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
    if (fresh.ok) await cache.put(path, fresh.clone());
    return fresh.ok || !kept ? fresh : kept;
  } catch (error) {
    if (!kept) throw error;
    silentUntil = Date.now() + DOWN_MS;
    return kept;
  }
}
