/**
 * What the service worker and its pages say to each other, over `postMessage`.
 *
 * A new release is loaded and checked beside the one in use and then waits. The pages are told;
 * when a person agrees, a page answers `use-release`, the new worker takes over, and every page
 * sees `controllerchange` on `navigator.serviceWorker` and is to reload.
 */

/** To every page: a checked release waits. Pages opened later find it as `registration.waiting`. */
export interface ReleaseWaiting {
  type: "release-waiting";
  version: string;
}

/** To the waiting worker: take over now. */
export interface UseRelease {
  type: "use-release";
}

export type ToPage = ReleaseWaiting;
export type ToServiceWorker = UseRelease;
