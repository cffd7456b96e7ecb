/**
 * The files of one release, kept in a cache of their own so that the page opens without its node.
 *
 * A release is taken whole or not at all: every file is compared with the hash that the build wrote
 * into the service worker. That protects against a half-changed or damaged page. It does not protect
 * against the node, which serves the service worker too.
 */

import type { Release } from "./release";

/** All caches of releases begin with this; others in the origin are not ours to touch. */
export const CACHE_PREFIX = "tace-release-";

const INDEX = "index.html";
/** Names in there carry a hash: the same name is always the same bytes. */
const HASHED = "assets/";
/** Files fetched at one time; browsers open six connections to a host. */
const FETCHES_AT_ONCE = 6;

/** `Vary` is about how bytes travel; their hash was compared. */
const ANY_VARIANT: CacheQueryOptions = { ignoreVary: true };

/** What is used of a browser; everything can be faked. */
export interface Surroundings {
  caches: CacheStorage;
  fetch(request: Request): Promise<Response>;
  /** The page's own, such as "https://node.example". */
  origin: string;
  digest(bytes: ArrayBuffer): Promise<ArrayBuffer>;
}

/** A file that is not what the release says, or is not to be had. */
export class ReleaseError extends Error {}

export class ReleaseFiles {
  readonly cacheName: string;

  constructor(
    private readonly release: Release,
    private readonly around: Surroundings,
  ) {
    this.cacheName = CACHE_PREFIX + release.id;
  }

  /**
   * Fetches, checks and keeps every file.
   *
   * @throws ReleaseError: a file is missing or differs. Nothing new is kept then.
   */
  async install(): Promise<void> {
    // A new service worker for the same files: those that are kept are in use already.
    const inUse = await this.around.caches.has(this.cacheName);
    const cache = await this.around.caches.open(this.cacheName);
    const waiting = Object.entries(this.release.files);
    const worker = async (): Promise<void> => {
      for (let next = waiting.pop(); next; next = waiting.pop()) {
        const [path, hash] = next;
        await cache.put(this.url(path), await this.checked(path, hash));
      }
    };
    try {
      await Promise.all(Array.from({ length: FETCHES_AT_ONCE }, worker));
    } catch (error) {
      waiting.length = 0;
      if (!inUse) {
        await this.around.caches.delete(this.cacheName);
      }
      throw error;
    }
  }

  /** Lets go of every other release. */
  async dropOthers(): Promise<void> {
    const names = await this.around.caches.keys();
    await Promise.all(
      names
        .filter((name) => name.startsWith(CACHE_PREFIX) && name !== this.cacheName)
        .map((name) => this.around.caches.delete(name)),
    );
  }

  /**
   * The file that answers a request, as a path of the release; null: not for this worker. Only
   * files of the release are, so the node's interface (/v1/...) and other origins never are.
   */
  pathFor(request: Pick<Request, "method" | "url">): string | null {
    const url = new URL(request.url);
    if (request.method !== "GET" || url.origin !== this.around.origin) {
      return null;
    }
    const path = url.pathname === "/" ? INDEX : url.pathname.slice(1);
    return Object.hasOwn(this.release.files, path) ? path : null;
  }

  /**
   * The kept file; from the node when the browser has thrown it away.
   *
   * The node may have gone on to another release by then. Its answer is given as it is, as to a
   * page without a service worker, but not kept.
   */
  async answer(request: Request, path: string): Promise<Response> {
    const cache = await this.around.caches.open(this.cacheName);
    return (await cache.match(this.url(path), ANY_VARIANT)) ?? this.around.fetch(request);
  }

  private url(path: string): string {
    return `${this.around.origin}/${path === INDEX ? "" : path}`;
  }

  private async checked(path: string, hash: string): Promise<Response> {
    const hashed = path.startsWith(HASHED);
    if (hashed) {
      const known = await this.around.caches.match(this.url(path), ANY_VARIANT);
      if (known && (await this.matches(known, hash))) {
        return known;
      }
    }
    // Of other names the node is asked whether they have changed. A copy that the browser has, and
    // that is damaged, must not keep the release out for good: then once more, past all copies.
    for (const cache of [hashed ? "default" : "no-cache", "reload"] as const) {
      const response = await this.fetched(path, cache);
      if (await this.matches(response, hash)) {
        return response;
      }
    }
    throw new ReleaseError(`${path} is not the file of release ${this.release.version}`);
  }

  private async fetched(path: string, cache: RequestCache): Promise<Response> {
    const request = new Request(this.url(path), { cache, credentials: "omit", redirect: "error" });
    const response = await this.around.fetch(request);
    if (response.status !== 200) {
      throw new ReleaseError(`${path}: the node answered ${response.status}`);
    }
    return response;
  }

  private async matches(response: Response, hash: string): Promise<boolean> {
    const digest = await this.around.digest(await response.clone().arrayBuffer());
    const hex = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0"));
    return hex.join("") === hash;
  }
}
