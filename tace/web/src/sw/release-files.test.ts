import { createHash } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import type { Release } from "./release";
import { CACHE_PREFIX, ReleaseError, ReleaseFiles } from "./release-files";
import { FakeCaches } from "./testing/caches";

const ORIGIN = "https://node.example";

/** A node that serves these files, and remembers what it was asked for. */
class FakeNode {
  readonly asked: { url: string; cache: RequestCache }[] = [];
  /** What the browser's own HTTP cache would give unless it is told to go past it. */
  readonly stale = new Map<string, string>();
  gone = false;

  constructor(readonly files: Map<string, string>) {}

  readonly fetch = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    this.asked.push({ url: request.url, cache: request.cache });
    if (this.gone) {
      throw new TypeError("Failed to fetch");
    }
    const stale = request.cache === "reload" ? undefined : this.stale.get(pathname);
    const text = stale ?? this.files.get(pathname);
    return text === undefined ? new Response("no", { status: 404 }) : new Response(text);
  };
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

function releaseOf(id: string, files: Record<string, string>): Release {
  const hashes = Object.entries(files).map(([path, text]) => [path, sha256(text)]);
  return { version: `v-${id}`, id, files: Object.fromEntries(hashes) };
}

const FIRST = { "index.html": "<p>one", "assets/a-1.js": "a", "assets/b-1.js": "b" };
const SECOND = { "index.html": "<p>two", "assets/a-1.js": "a", "assets/b-2.js": "bb" };

let caches: FakeCaches;
let node: FakeNode;

function filesOf(release: Release): ReleaseFiles {
  return new ReleaseFiles(release, {
    caches,
    fetch: node.fetch,
    origin: ORIGIN,
    digest: (bytes) => crypto.subtle.digest("SHA-256", bytes),
  });
}

function serve(files: Record<string, string>): void {
  node.files.clear();
  for (const [path, text] of Object.entries(files)) {
    node.files.set(path === "index.html" ? "/" : `/${path}`, text);
  }
}

async function textOf(files: ReleaseFiles, pathname: string): Promise<string | null> {
  const request = new Request(ORIGIN + pathname);
  const path = files.pathFor(request);
  return path === null ? null : (await files.answer(request, path)).text();
}

beforeEach(() => {
  caches = new FakeCaches();
  node = new FakeNode(new Map());
  serve(FIRST);
});

describe("installing", () => {
  it("keeps every file, so that the page opens without its node", async () => {
    const files = filesOf(releaseOf("1", FIRST));
    await files.install();
    node.gone = true;
    expect(await textOf(files, "/")).toBe("<p>one");
    expect(await textOf(files, "/index.html?sample")).toBe("<p>one");
    expect(await textOf(files, "/assets/b-1.js")).toBe("b");
  });

  it("asks whether the page has changed, and believes the names of hashed files", async () => {
    await filesOf(releaseOf("1", FIRST)).install();
    const asked = Object.fromEntries(node.asked.map(({ url, cache }) => [url, cache]));
    expect(asked).toEqual({
      [`${ORIGIN}/`]: "no-cache",
      [`${ORIGIN}/assets/a-1.js`]: "default",
      [`${ORIGIN}/assets/b-1.js`]: "default",
    });
  });

  it.each(["index.html", "assets/a-1.js"])("refuses a release whose %s differs", async (path) => {
    serve({ ...FIRST, [path]: "something else" });
    const installing = filesOf(releaseOf("1", FIRST)).install();
    await expect(installing).rejects.toThrow(ReleaseError);
    expect(await caches.keys()).toEqual([]);
  });

  it("refuses a release with a file missing", async () => {
    node.files.delete("/assets/b-1.js");
    const installing = filesOf(releaseOf("1", FIRST)).install();
    await expect(installing).rejects.toThrow("assets/b-1.js: the node answered 404");
    expect(await caches.keys()).toEqual([]);
  });

  it("leaves the release in use alone when the next one cannot be had", async () => {
    const first = filesOf(releaseOf("1", FIRST));
    await first.install();
    await expect(filesOf(releaseOf("2", SECOND)).install()).rejects.toThrow(ReleaseError);
    expect(await caches.keys()).toEqual([first.cacheName]);
    expect(await textOf(first, "/")).toBe("<p>one");
  });

  it("leaves it alone too when only the service worker is new", async () => {
    const release = releaseOf("1", FIRST);
    await filesOf(release).install();
    serve({ ...FIRST, "index.html": "damaged" });
    await expect(filesOf(release).install()).rejects.toThrow(ReleaseError);
    expect(await textOf(filesOf(release), "/")).toBe("<p>one");
  });

  it("goes past a damaged copy that the browser has", async () => {
    node.stale.set("/assets/a-1.js", "cut o");
    const files = filesOf(releaseOf("1", FIRST));
    await files.install();
    expect(await textOf(files, "/assets/a-1.js")).toBe("a");
  });

  it("fetches of the next release only what is new", async () => {
    await filesOf(releaseOf("1", FIRST)).install();
    serve(SECOND);
    node.asked.length = 0;
    const second = filesOf(releaseOf("2", SECOND));
    await second.install();
    expect(node.asked.map(({ url }) => url).sort()).toEqual([
      `${ORIGIN}/`,
      `${ORIGIN}/assets/b-2.js`,
    ]);
    node.gone = true;
    expect(await textOf(second, "/assets/a-1.js")).toBe("a");
  });

  it("does not take a kept file over that was changed in its cache", async () => {
    const first = filesOf(releaseOf("1", FIRST));
    await first.install();
    const cache = await caches.open(first.cacheName);
    await cache.put(`${ORIGIN}/assets/a-1.js`, new Response("changed"));
    serve(SECOND);
    const second = filesOf(releaseOf("2", SECOND));
    await second.install();
    expect(await textOf(second, "/assets/a-1.js")).toBe("a");
  });
});

describe("taking over", () => {
  it("drops other releases and nothing else", async () => {
    await caches.open("somebody's");
    await filesOf(releaseOf("1", FIRST)).install();
    serve(SECOND);
    const second = filesOf(releaseOf("2", SECOND));
    await second.install();
    await second.dropOthers();
    expect(await caches.keys()).toEqual(["somebody's", `${CACHE_PREFIX}2`]);
  });
});

describe("answering", () => {
  it.each([
    ["the node's interface", "GET", `${ORIGIN}/v1/poll`],
    ["a socket", "GET", `${ORIGIN}/v1/socket`],
    ["another origin", "GET", "https://other.example/"],
    ["another method", "POST", `${ORIGIN}/`],
    ["itself", "GET", `${ORIGIN}/sw.js`],
    ["the list of hashes", "GET", `${ORIGIN}/files.json`],
    ["what every object has", "GET", `${ORIGIN}/constructor`],
  ])("has nothing to do with %s", (_, method, url) => {
    const files = filesOf(releaseOf("1", FIRST));
    expect(files.pathFor({ method, url })).toBeNull();
  });

  it("asks the node for what the browser has thrown away", async () => {
    const files = filesOf(releaseOf("1", FIRST));
    await files.install();
    await caches.delete(files.cacheName);
    expect(await textOf(files, "/assets/b-1.js")).toBe("b");
  });
});
