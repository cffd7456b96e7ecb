/**
 * What tests in a browser begin with: `test` with a network of nodes, a browser, and people.
 *
 * Every context that a test opens through `people` is watched: a test fails by an error on a console
 * as by a failed expectation. When one fails, what each page showed is kept, outside of the checkout.
 */

import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from "playwright-core";
import { test as bare, expect } from "vitest";
import { CONTEXT, launch, launchOptions } from "./chromium.ts";
import { LocalNetwork } from "./network.ts";
import { Trouble } from "./trouble.ts";

export { expect };

const NODES = 5;
const PICTURES = join(process.env.TACE_PICTURES ?? tmpdir(), "tace-browser-failures");

// vitest reads from a fixture's pattern what it needs; these need nothing.
// biome-ignore-start lint/correctness/noEmptyPattern: see above
export const test = bare
  .extend("network", { scope: "worker" }, async ({}, { onCleanup }) => {
    const network = await LocalNetwork.start({ nodes: NODES });
    onCleanup(() => network.stop());
    return network;
  })
  .extend("browser", { scope: "worker" }, async ({}, { onCleanup }) => {
    const browser = await launch();
    onCleanup(() => browser.close());
    return browser;
  })
  // biome-ignore-end lint/correctness/noEmptyPattern: see above
  .extend("trouble", () => new Trouble())
  .extend("opened", async ({ trouble, task }, { onCleanup }) => {
    /** Everything that is to be looked at, and closed, when the test is over. */
    const opened: BrowserContext[] = [];
    const profiles = await mkdtemp(join(tmpdir(), "tace-profiles-"));
    onCleanup(async () => {
      if (task.result?.state === "fail" || trouble.all.length > 0) {
        await keepPictures(opened, task.name);
      }
      await Promise.all(opened.map((context) => context.close()));
      // Chromium may still be writing when it says that it is closed.
      await rm(profiles, { recursive: true, force: true, maxRetries: 5 });
      expect(trouble.all).toEqual([]);
    });
    return { contexts: opened, profiles };
  })
  .extend("contexts", ({ browser, opened, trouble }) => {
    /** A browser of its own, gone with the test; `whose` is for messages. */
    return async (whose: string, options: BrowserContextOptions = {}): Promise<BrowserContext> => {
      const context = await browser.newContext({ ...CONTEXT, ...options });
      opened.contexts.push(context);
      trouble.watch(context, whose);
      return context;
    };
  })
  .extend("profiles", ({ opened, trouble }) => {
    /** A browser on disk: closed and opened again under the same name, it has kept what it had. */
    return async (whose: string, options: BrowserContextOptions = {}): Promise<BrowserContext> => {
      const context = await chromium.launchPersistentContext(join(opened.profiles, whose), {
        ...CONTEXT,
        ...launchOptions(),
        ...options,
      });
      opened.contexts.push(context);
      trouble.watch(context, whose);
      return context;
    };
  });

async function keepPictures(contexts: BrowserContext[], name: string): Promise<void> {
  await mkdir(PICTURES, { recursive: true });
  const pages: Page[] = contexts.flatMap((context) => context.pages());
  for (const [index, page] of pages.entries()) {
    const path = join(
      PICTURES,
      `${name.replaceAll(/[^\w-]+/g, "-").slice(0, 80)}-${index + 1}.png`,
    );
    await page.screenshot({ path, fullPage: true });
    console.log(`what the page showed: ${path}`);
  }
}
