/** Every screen, light and dark, wide and narrow: no fault that axe-core knows, nothing cut off. */

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type axe from "axe-core";
import type { Page } from "playwright-core";
import { acquainted } from "./acquainted.ts";
import { expect, test } from "./harness.ts";
import { Person, t } from "./person.ts";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const WIDE = { width: 1280, height: 800 };
/** What is left of 640 pixels at 200 %, and the narrowest telephone. */
const NARROW = { width: 320, height: 640 };
const SECTIONS = [
  "",
  "/profile",
  "/appearance",
  "/notifications",
  "/privacy",
  "/history",
  "/storage",
  "/shortcuts",
  "/about",
  "/forget",
] as const;

/** What is wrong with the page as it is now, in both themes. */
async function faults(page: Page, screen: string): Promise<string[]> {
  const found: string[] = [];
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const result = await page.evaluate(
      async () =>
        await (window as unknown as { axe: typeof axe }).axe.run(document, {
          runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
        }),
    );
    for (const { id, nodes } of result.violations) {
      found.push(
        `${screen}, ${colorScheme}: ${id} at ${nodes.map((node) => node.target).join(" ")}`,
      );
    }
    const name = `${screen.replaceAll(/\W+/g, "-")}-${page.viewportSize()?.width}-${colorScheme}.png`;
    const folder = process.env.TACE_SHOTS;
    if (folder) await page.screenshot({ path: join(folder, name) });
  }
  const overflow = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth - clientWidth;
  });
  if (overflow > 0) found.push(`${screen}: ${overflow} pixels beyond the edge`);
  return found;
}

test("no screen has a fault, wide or narrow, light or dark", async ({ contexts, network }) => {
  const axeSource = await readFile(AXE, "utf8");
  // Past the Content Security Policy, which would rightly refuse it.
  const load = async (page: Page): Promise<void> => {
    const session = await page.context().newCDPSession(page);
    await session.send("Runtime.evaluate", { expression: axeSource });
    await session.detach();
  };
  const found: string[] = [];
  const look = async (page: Page, screen: string): Promise<void> => {
    for (const size of [WIDE, NARROW]) {
      await page.setViewportSize(size);
      found.push(...(await faults(page, `${screen} ${size.width}`)));
    }
    await page.setViewportSize(WIDE);
  };

  const stranger = await Person.atStart(await contexts("stranger"), network.node(2).url, "Carol");
  await load(stranger.page);
  await look(stranger.page, "start");
  await stranger.press(t("app.start.have-code"));
  await look(stranger.page, "restore");
  await stranger.press(t("app.back"));
  await stranger.press(t("app.start.have-export"));
  await look(stranger.page, "import");
  await stranger.press(t("app.back"));
  await stranger.page.getByRole("textbox", { name: t("app.start.name") }).fill("Carol");
  await stranger.press(t("app.start.go"));
  await stranger.page.getByRole("dialog").waitFor();
  await look(stranger.page, "recovery code");
  await stranger.later();
  await look(stranger.page, "nobody yet");

  const { alice, bob } = await acquainted(
    { context: await contexts("alice"), url: network.node(0).url },
    { context: await contexts("bob"), url: network.node(1).url },
  );
  await load(alice.page);
  await alice.type(`A long text. ${"It goes on and on. ".repeat(120)}`);
  await alice.press(t("chat.composer.send"));
  await bob.choose("Hello", t("chat.message.reply"));
  await bob.send("An answer 🚲");
  await alice.message("An answer").waitFor();
  await alice.page.bringToFront();
  for (const size of [NARROW, WIDE]) {
    // A menu closes when the window changes under it.
    await alice.page.setViewportSize(size);
    await alice.message("An answer").hover();
    await alice.message("An answer").locator(".message-more").click();
    await alice.page.getByRole("menu").waitFor();
    found.push(...(await faults(alice.page, `message menu ${size.width}`)));
    await alice.page.keyboard.press("Escape");
  }
  await alice.message("An answer").hover();
  await alice.message("An answer").locator(".message-more").click();
  await alice.page.getByRole("menuitemcheckbox").first().click();
  await alice.message("An answer").locator(".message-reaction").waitFor();
  await look(alice.page, "conversation");
  await alice.message("Hello").first().locator(".message-state").click();
  await look(alice.page, "delivery details");
  await alice.page.keyboard.press("Escape");
  await alice.aboutThem();
  await alice.safetyNumber();
  await look(alice.page, "person");
  await alice.at("add");
  await alice.page.getByRole("textbox", { name: t("contacts.add.field") }).fill(await bob.link());
  await alice.press(t("contacts.add.look"));
  await alice.page.getByRole("region", { name: t("contacts.add.whom") }).waitFor();
  await look(alice.page, "add a contact");
  await alice.at("search");
  await alice.page.getByRole("searchbox", { name: t("chat.search.text") }).fill("answer");
  await alice.page.locator("main mark").first().waitFor();
  await look(alice.page, "search");

  await stranger.addContact(await alice.link());
  await stranger.send("Do you know me?");
  await alice.requestShown();
  await look(alice.page, "requests");
  for (const section of SECTIONS) {
    await alice.at(`settings${section}`);
    await alice.page.getByRole("main").getByRole("heading").last().waitFor();
    await look(alice.page, `settings${section}`);
  }
  await alice.at("network");
  await alice.page.getByRole("img", { name: /ring/i }).waitFor();
  await look(alice.page, "network");
  expect(found).toEqual([]);
}, 300_000);
