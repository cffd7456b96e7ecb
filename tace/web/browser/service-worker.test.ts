/** The service worker in a browser, on a small site of its own: whatever the page grows into. */

import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import type { Page } from "playwright-core";
import { filesBelow } from "../build/files.ts";
import { builtSite } from "../build/testing/site.ts";
import { expect, test as plain } from "./harness.ts";

const TYPES: Record<string, string> = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
  ".svg": "image/svg+xml",
};

/** A node that serves one directory, and that can be gone for a while. */
class StaticNode {
  private server: Server | null = null;
  private port = 0;
  private dist = "";

  async serve(dist: string): Promise<string> {
    this.dist = dist;
    if (!this.server) {
      this.server = createServer((request, response) => {
        const name = request.url === "/" ? "index.html" : (request.url ?? "").slice(1);
        const known = filesBelow(this.dist).includes(name);
        response.writeHead(known ? 200 : 404, {
          "content-type": TYPES[extname(name)] ?? "text/plain",
          "cache-control": name.startsWith("assets/") ? "max-age=3600, immutable" : "no-cache",
        });
        response.end(known ? readFileSync(join(this.dist, name)) : "nothing is here");
      });
      this.server.listen(this.port, "127.0.0.1");
      await once(this.server, "listening");
      this.port = (this.server.address() as AddressInfo).port;
    }
    return `http://127.0.0.1:${this.port}/`;
  }

  async vanish(): Promise<void> {
    const { server } = this;
    this.server = null;
    server?.closeAllConnections();
    server?.close();
    await (server && once(server, "close"));
  }
}

const test = plain
  .extend("node", async ({ trouble }, { onCleanup }) => {
    trouble.allow(/favicon/);
    const node = new StaticNode();
    onCleanup(() => node.vanish());
    return node;
  })
  .extend("release", ({ task }, { onCleanup }) => {
    const directory = mkdtempSync(join(tmpdir(), "tace-releases-"));
    onCleanup(() => rmSync(directory, { recursive: true }));
    /** A release whose page is titled so. */
    return (title: string) => {
      const shared = `export const shared = ${JSON.stringify(title)};`;
      return builtSite(join(directory, `${task.id}-${title}`), { "shared.ts": shared });
    };
  });

/** Until the release that was loaded is kept, and the page is the service worker's. */
async function settled(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const controlled = new Promise((resolve) => {
      navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true });
    });
    await navigator.serviceWorker.register("/sw.js");
    if (!navigator.serviceWorker.controller) {
      await controlled;
    }
  });
}

/** Looks for a new release; what became of it: "installed" (it waits), "redundant" (refused). */
function update(page: Page): Promise<string> {
  return page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    const found = new Promise<ServiceWorker | null>((resolve) => {
      registration.addEventListener("updatefound", () => resolve(registration.installing), {
        once: true,
      });
    });
    await registration.update();
    const worker = await found;
    while (worker && !["installed", "redundant"].includes(worker.state)) {
      await new Promise((resolve) => worker.addEventListener("statechange", resolve));
    }
    return worker?.state ?? "none";
  });
}

test("the page opens, and loads what it had not loaded yet, while its node is gone", async ({
  contexts,
  node,
  release,
}) => {
  const page = await (await contexts("page")).newPage();
  await page.goto(await node.serve(await release("one")));
  await settled(page);
  await node.vanish();
  await page.reload();
  expect(await page.title()).toBe("one");
  await page.mouse.click(5, 5);
  await page.waitForFunction(() => document.title === "one, later");
});

test("a new release waits until the page wants it", async ({ contexts, node, release }) => {
  const page = await (await contexts("page")).newPage();
  await page.goto(await node.serve(await release("one")));
  await settled(page);
  await page.evaluate(() => {
    navigator.serviceWorker.addEventListener("message", ({ data }) => {
      document.title = `${data.type} ${data.version}`;
    });
    navigator.serviceWorker.startMessages();
  });
  await node.serve(await release("two"));
  expect(await update(page)).toBe("installed");
  await page.waitForFunction(() => document.title === "release-waiting 1.2.3");

  await page.reload();
  expect(await page.title()).toBe("one");

  await page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    const changed = new Promise((resolve) => {
      navigator.serviceWorker.addEventListener("controllerchange", resolve, { once: true });
    });
    registration.waiting?.postMessage({ type: "use-release" });
    await changed;
  });
  await page.reload();
  expect(await page.title()).toBe("two");
  expect(await page.evaluate(async () => (await caches.keys()).length)).toBe(1);
});

test("a release with a file that is not its own is refused, and the page stays", async ({
  contexts,
  node,
  release,
  trouble,
}) => {
  trouble.allow(/ReleaseError|is not the file of release/);
  const page = await (await contexts("page")).newPage();
  await page.goto(await node.serve(await release("one")));
  await settled(page);
  const changed = await release("two");
  const [script] = filesBelow(changed).filter((name) => name.startsWith("assets/later-"));
  writeFileSync(join(changed, script ?? ""), "document.title = 'somebody else';");
  await node.serve(changed);
  expect(await update(page)).toBe("redundant");
  await node.vanish();
  await page.reload();
  expect(await page.title()).toBe("one");
  expect(await page.evaluate(async () => (await caches.keys()).length)).toBe(1);
});
