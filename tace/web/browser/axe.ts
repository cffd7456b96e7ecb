/** What axe-core finds wrong with a page. */

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type axe from "axe-core";
import type { Page } from "playwright-core";

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const source = await readFile(
  createRequire(import.meta.url).resolve("axe-core/axe.min.js"),
  "utf8",
);

/** One line for each fault: the rule, and where it is broken. */
export async function violations(page: Page): Promise<string[]> {
  // Past the Content Security Policy, which would rightly refuse it.
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: source });
  await session.detach();
  const found = await page.evaluate(
    async (rules) =>
      await (window as unknown as { axe: typeof axe }).axe.run(document, { runOnly: rules }),
    RULES,
  );
  return found.violations.map(
    ({ id, nodes }) => `${id} at ${nodes.map((node) => node.target).join(" and ")}`,
  );
}
