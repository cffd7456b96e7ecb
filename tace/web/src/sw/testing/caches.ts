/** CacheStorage in memory, as far as the service worker uses it. */

class FakeCache {
  private readonly kept = new Map<string, Response>();

  async match(request: RequestInfo | URL): Promise<Response | undefined> {
    return this.kept.get(String(request))?.clone();
  }

  async put(request: RequestInfo | URL, response: Response): Promise<void> {
    // Like a browser's: the body is read, so a response serves once.
    const body = await response.arrayBuffer();
    this.kept.set(String(request), new Response(body, { headers: response.headers }));
  }

  async delete(request: RequestInfo | URL): Promise<boolean> {
    return this.kept.delete(String(request));
  }

  private missing(): never {
    throw new Error("not part of the fake");
  }

  readonly add = this.missing;
  readonly addAll = this.missing;
  readonly keys = this.missing;
  readonly matchAll = this.missing;
}

export class FakeCaches {
  private readonly caches = new Map<string, FakeCache>();

  async open(name: string): Promise<FakeCache> {
    const cache = this.caches.get(name) ?? new FakeCache();
    this.caches.set(name, cache);
    return cache;
  }

  async has(name: string): Promise<boolean> {
    return this.caches.has(name);
  }

  async delete(name: string): Promise<boolean> {
    return this.caches.delete(name);
  }

  async keys(): Promise<string[]> {
    return [...this.caches.keys()];
  }

  async match(request: RequestInfo | URL): Promise<Response | undefined> {
    for (const cache of this.caches.values()) {
      const response = await cache.match(request);
      if (response) {
        return response;
      }
    }
    return undefined;
  }
}
