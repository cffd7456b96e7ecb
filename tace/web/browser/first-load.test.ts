/** The first visit: what is loaded, from whom, and that nothing complains. */

import type { Page } from "playwright-core";
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
  gate,
  network,
}) => {
  const context = await contexts("visitor", gate.options);
  const wanted = new Set<string>();
  context.on("request", (request) => {
    const { pathname } = new URL(request.url());
    // What the service worker keeps for later, once all is shown, is no part of the wait.
    if (pathname.endsWith(".js") && !request.serviceWorker()) {
      wanted.add(pathname);
    }
  });
  const page = await context.newPage();
  await firstVisit(page, network.node(0).url);
  await page.waitForLoadState("networkidle");
  const weights = new Map(gate.passed.map(({ url, bytes }) => [new URL(url).pathname, bytes]));
  const paths = [...wanted, "/sw.js"];
  const sizes = paths.map((path) => weights.get(path) ?? Number.NaN);
  const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
  const lines = paths.map((path, at) => `  ${path}  ${sizes[at]}`);
  console.log([...lines, `  in all  ${total}, at most ${BUDGET_BYTES}`].join("\n"));
  expect(paths).toContainEqual(expect.stringMatching(/^\/assets\/worker-/));
  expect(total).toBeLessThanOrEqual(BUDGET_BYTES);
});

test("nobody but its node is asked for anything", async ({ contexts, gate, network }) => {
  const page = await (await contexts("visitor", gate.options)).newPage();
  const { url } = network.node(0);
  await firstVisit(page, url);
  await page.waitForLoadState("networkidle");
  expect([...gate.asked]).toEqual([new URL(url).host]);
});
