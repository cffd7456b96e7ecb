/** The first visit: what is loaded, from whom, and that nothing complains. */

import type { Page, Request } from "playwright-core";
import { BUDGET_BYTES } from "../build/budget.ts";
import { Gate } from "./gate.ts";
import { expect, test as plain } from "./harness.ts";

const test = plain.extend("gate", async ({ trouble }, { onCleanup }) => {
  expect(trouble.all).toEqual([]);
  const gate = await Gate.open();
  onCleanup(() => gate.close());
  return gate;
});

/** The screen that asks for a name. */
async function firstVisit(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.getByRole("textbox").first().waitFor();
}

test("the page asks for a name, and nothing is logged", async ({ contexts, network }) => {
  const page = await (await contexts("visitor")).newPage();
  await firstVisit(page, network.node(0).url);
  expect(await page.title()).toContain("tace");
  expect(await page.getByRole("heading").count()).toBeGreaterThan(0);
});

test("scripts of the first visit are within the budget as they travel", async ({
  contexts,
  network,
}) => {
  const context = await contexts("visitor");
  const loaded: Request[] = [];
  context.on("requestfinished", (request) => {
    // What the service worker fetches ahead, once all is shown, is no part of the wait.
    if (!request.serviceWorker()) {
      loaded.push(request);
    }
  });
  const page = await context.newPage();
  await firstVisit(page, network.node(0).url);
  await page.waitForLoadState("networkidle");
  const scripts = loaded.filter((request) => new URL(request.url()).pathname.endsWith(".js"));
  const weights = await Promise.all(
    scripts.map(async (request) => ({
      path: new URL(request.url()).pathname,
      bytes: (await request.sizes()).responseBodySize,
    })),
  );
  const total = weights.reduce((sum, { bytes }) => sum + bytes, 0);
  console.log(weights, total);
  expect(weights.map(({ path }) => path)).toContainEqual(
    expect.stringMatching(/^\/assets\/worker-/),
  );
  expect(Math.min(...weights.map(({ bytes }) => bytes))).toBeGreaterThan(0);
  expect(total).toBeLessThanOrEqual(BUDGET_BYTES);
});

test("nobody but its node is asked for anything", async ({ contexts, gate, network }) => {
  const page = await (await contexts("visitor", gate.options)).newPage();
  const { url } = network.node(0);
  await firstVisit(page, url);
  await page.waitForLoadState("networkidle");
  expect([...gate.asked]).toEqual([new URL(url).host]);
});
