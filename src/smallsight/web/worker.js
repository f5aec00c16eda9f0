// The service worker of the app: keeps the scripts, styles and icons of one version, and a page that is shown when the
// server cannot be reached. Pictures and pages are never kept. The server fills in the three values.
const VERSION = "@VERSION@";
const APP = "@APP@";
const ASSETS = new Set(["@ASSETS@"]);

const CACHE = `smallsight-${VERSION}`;
const OFFLINE = `${APP}/offline`;
const SHARE = `${APP}/uploads/share`;

self.addEventListener("install", (event) => {
  event.waitUntil(keepOffline().then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(dropOlder().then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (url.origin !== self.location.origin) return;
  if (request.method === "POST" && request.mode === "navigate" && url.pathname === SHARE) {
    event.respondWith(takeShared(request));
  } else if (request.method === "GET" && ASSETS.has(url.pathname + url.search)) {
    event.respondWith(asset(request));
  } else if (request.method === "GET" && request.mode === "navigate") {
    event.respondWith(fetch(request).catch(() => caches.match(OFFLINE, { cacheName: CACHE })));
  }
});

/** Keeps the offline page and what it needs, which its links name. */
async function keepOffline() {
  const cache = await caches.open(CACHE);
  await cache.add(new Request(OFFLINE, { cache: "reload" }));
  const html = await (await cache.match(OFFLINE)).text();
  await cache.addAll([...ASSETS].filter((address) => html.includes(address)));
}

async function dropOlder() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith("smallsight-") && name !== CACHE).map((name) => caches.delete(name)));
}

async function asset(request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request);
  if (kept) return kept;
  const answer = await fetch(request);
  if (answer.ok) await cache.put(request, answer.clone());
  return answer;
}

// What the share menu of a phone sends carries no token, and a page of another site could send the same. So the files
// wait here, in memory, until the page that asks the person before it adds them wants them.
let shared = [];

async function takeShared(request) {
  const form = await request.formData();
  shared = form.getAll("files").filter((one) => one instanceof File);
  return Response.redirect(`${APP}/shared`, 303);
}

self.addEventListener("message", (event) => {
  if (event.data !== "shared") return;
  event.ports[0].postMessage(shared);
  shared = [];
});
