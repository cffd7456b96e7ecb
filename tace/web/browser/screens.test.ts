/**
 * Every screen in every state, light and dark, on a desk and on a telephone: no fault that axe-core
 * knows. A picture of each is put into TACE_SHOTS, to be looked at.
 */

import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { violations } from "./axe.ts";
import { SCREENS, show } from "./catalogue-of-screens.ts";
import { expect, test as plain } from "./harness.ts";
import { samplePage, sampleSite } from "./sample-site.ts";

const SHOTS = process.env.TACE_SHOTS ?? join(tmpdir(), "tace-shots");
const SIZES = [
  { width: 1280, height: 800 },
  { width: 360, height: 740 },
];

// biome-ignore lint/correctness/noEmptyPattern: vitest reads from it what the fixture needs
const test = plain.extend("site", { scope: "file" }, async ({}, { onCleanup }) => {
  const site = await sampleSite();
  onCleanup(() => site.close());
  return site;
});

for (const viewport of SIZES) {
  test(`no screen has a fault, ${viewport.width} wide`, async ({ contexts, site }) => {
    await mkdir(SHOTS, { recursive: true });
    const page = await samplePage(await contexts("visitor", { viewport }));
    const found: string[] = [];
    for (const screen of SCREENS) {
      await show(page, site.url, screen);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        const name = `${screen.name.replaceAll(/\W+/g, "-")}-${viewport.width}-${colorScheme}.png`;
        await page.screenshot({ path: join(SHOTS, name) });
        const faults = await violations(page);
        found.push(...faults.map((fault) => `${screen.name}, ${colorScheme}: ${fault}`));
      }
    }
    expect(found).toEqual([]);
  }, 400_000);
}
