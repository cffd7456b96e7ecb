/** Small windows and large letters, in every language: nothing sideways, nothing cut off. */

import type { Page } from "playwright-core";
import type { LanguageId } from "../src/app/languages.ts";
import { SCREENS, show } from "./catalogue-of-screens.ts";
import { expect, test as plain } from "./harness.ts";
import { samplePage, sampleSite } from "./sample-site.ts";

/** The narrowest telephone, and half a screen with letters of twice the size. */
const VIEWS = [
  { width: 320, height: 640, letters: "100%" },
  { width: 640, height: 800, letters: "200%" },
];
const LANGUAGES: LanguageId[] = ["en", "de", "pseudo"];
const CASES = VIEWS.flatMap((view) => LANGUAGES.map((language) => ({ ...view, language })));

// biome-ignore lint/correctness/noEmptyPattern: vitest reads from it what the fixture needs
const test = plain.extend("site", { scope: "file" }, async ({}, { onCleanup }) => {
  const site = await sampleSite();
  onCleanup(() => site.close());
  return site;
});

for (const { width, height, letters, language } of CASES) {
  test(`${width} wide, letters ${letters}, ${language}: all of it is there`, async ({
    contexts,
    site,
  }) => {
    const context = await contexts("visitor", { viewport: { width, height } });
    const page = await samplePage(context, language, letters);
    const found: string[] = [];
    for (const screen of SCREENS) {
      await show(page, site.url, screen);
      found.push(...(await beyondTheEdge(page)).map((fault) => `${screen.name}: ${fault}`));
    }
    expect(found).toEqual([]);
  }, 400_000);
}

test("who wants less motion gets none", async ({ contexts, site }) => {
  const page = await samplePage(await contexts("visitor", { reducedMotion: "reduce" }));
  const moving: string[] = [];
  for (const screen of SCREENS) {
    await show(page, site.url, screen);
    const found = await page.evaluate(() =>
      document
        .getAnimations()
        .filter((each) => each.playState === "running" && each.effect instanceof KeyframeEffect)
        .map(({ effect }) => effect as KeyframeEffect)
        // What fades stays where it is.
        .filter((effect) =>
          effect
            .getKeyframes()
            .some((frame) =>
              ["transform", "translate", "rotate", "scale"].some((name) => name in frame),
            ),
        )
        .map(({ target }) => target?.className ?? ""),
    );
    moving.push(...found.map((name) => `${screen.name}: ${name}`));
  }
  expect(moving).toEqual([]);
}, 200_000);

/** What is wider than the window or than its own box, as one line each. */
async function beyondTheEdge(page: Page): Promise<string[]> {
  return await page.evaluate(() => {
    const faults: string[] = [];
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) faults.push(`${scrollWidth - clientWidth} pixels sideways`);
    const within = (element: Element): boolean => {
      const scroller = element.closest("[role=tablist], .visually-hidden");
      return scroller !== null;
    };
    for (const element of document.querySelectorAll(
      "button, a, h1, h2, h3, p, label, input, select, textarea, svg, dd, dt, [role=article]",
    )) {
      const { left, right, width } = element.getBoundingClientRect();
      if (width === 0 || within(element)) continue;
      const name = `${element.tagName} ${element.className} "${element.textContent?.slice(0, 30)}"`;
      if (left < -1 || right > innerWidth + 1) faults.push(`beyond the edge: ${name}`);
      else if (element.matches("button, label") && element.scrollWidth > element.clientWidth + 1) {
        faults.push(`cut off: ${name}`);
      }
    }
    for (const element of document.querySelectorAll("main, main *, dialog, dialog *")) {
      const { overflowX } = getComputedStyle(element);
      const scrolls = overflowX === "auto" || overflowX === "scroll";
      if (scrolls && !within(element) && element.scrollWidth > element.clientWidth) {
        faults.push(`sideways in: ${element.tagName} ${element.className}`);
      }
    }
    return faults;
  });
}
