/**
 * What tests in a browser begin with: `test` with a network of nodes, a browser, and people.
 *
 * Every context that a test opens through `people` is watched: a test fails by an error on a console
 * as by a failed expectation. When one fails, what each page showed is kept, outside of the checkout.
 */

import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { test as bare, expect } from "vitest";
import { CONTEXT, launch } from "./chromium.ts";
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
  .extend("contexts", async ({ browser, trouble, task }, { onCleanup }) => {
    const open: BrowserContext[] = [];
    onCleanup(async () => {
      if (task.result?.state === "fail" || trouble.all.length > 0) {
        await keepPictures(open, task.name);
      }
      await Promise.all(open.map((context) => context.close()));
      expect(trouble.all).toEqual([]);
    });
    /** A browser profile of its own; `whose` is for messages. */
    return async (whose: string, options: BrowserContextOptions = {}): Promise<BrowserContext> => {
      const context = await browser.newContext({ ...CONTEXT, ...options });
      open.push(context);
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
