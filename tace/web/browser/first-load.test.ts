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

/** As which a browser asks for code that it will run; what a service worker keeps is "empty". */
const CODE = ["script", "worker", "serviceworker"];

test("scripts of the first visit are within the budget as they travel", async ({
  contexts,
  gate,
  network,
}) => {
  const page = await (await contexts("visitor", gate.options)).newPage();
  await firstVisit(page, network.node(0).url);
  await page.waitForLoadState("networkidle");
  const scripts = gate.passed.filter(({ destination }) => CODE.includes(destination));
  const total = scripts.reduce((sum, { bytes }) => sum + bytes, 0);
  const lines = scripts.map(({ url, bytes }) => `  ${new URL(url).pathname}  ${bytes}`);
  console.log([...lines, `  in all  ${total}, at most ${BUDGET_BYTES}`].join("\n"));
  const paths = scripts.map(({ url }) => new URL(url).pathname);
  expect(paths).toContain("/sw.js");
  expect(paths).toContainEqual(expect.stringMatching(/^\/assets\/worker-/));
  expect(paths).toHaveLength(new Set(paths).size);
  expect(total).toBeLessThanOrEqual(BUDGET_BYTES);
});

test("nobody but its node is asked for anything", async ({ contexts, gate, network }) => {
  const page = await (await contexts("visitor", gate.options)).newPage();
  const { url } = network.node(0);
  await firstVisit(page, url);
  await page.waitForLoadState("networkidle");
  expect([...gate.asked]).toEqual([new URL(url).host]);
});
