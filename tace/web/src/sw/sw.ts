/**
 * The service worker: keeps the page usable while its node is gone.
 *
 * It answers for the files of its own release alone and has nothing to do with messages or keys.
 */

import type { ToPage, ToServiceWorker } from "./messages";
import type { Release } from "./release";
import { ReleaseFiles } from "./release-files";

declare const self: ServiceWorkerGlobalScope;
/** Put in by build/release.ts. */
declare const TACE_RELEASE: Release;

const files = new ReleaseFiles(TACE_RELEASE, {
  caches: self.caches,
  fetch: (request) => self.fetch(request),
  origin: self.location.origin,
  digest: (bytes) => self.crypto.subtle.digest("SHA-256", bytes),
});

self.addEventListener("install", (event) => {
  event.waitUntil(install());
});

self.addEventListener("activate", (event) => {
  event.waitUntil(files.dropOthers().then(() => self.clients.claim()));
});

self.addEventListener("message", (event) => {
  // Only pages of this origin reach a service worker; their word is checked like any other.
  const message: Partial<ToServiceWorker> | null = event.data;
  if (message?.type === "use-release") {
    event.waitUntil(self.skipWaiting());
  }
});

self.addEventListener("fetch", (event) => {
  const path = files.pathFor(event.request);
  if (path !== null) {
    event.respondWith(files.answer(event.request, path));
  }
});

async function install(): Promise<void> {
  await files.install();
  if (self.registration.active) {
    const waiting: ToPage = { type: "release-waiting", version: TACE_RELEASE.version };
    // The pages are still the other worker's.
    const all: ClientQueryOptions = { type: "window", includeUncontrolled: true };
    for (const client of await self.clients.matchAll(all)) {
      client.postMessage(waiting);
    }
  }
}
