/** Without a mouse: from the first page to a message that is sent. */

import type { BrowserContext } from "playwright-core";
import { expect, test } from "./harness.ts";
import { Person, t } from "./person.ts";

test("keyboard only from start to a sent message, and focus is always to be seen", async ({
  contexts,
  network,
}) => {
  const bob = await Person.begin(await contexts("bob"), network.node(1).url, "Bob");
  await bob.later();
  await bob.connected("connected");
  const link = await bob.link();

  const { page, ...alice } = await keyboardOnly(await contexts("alice"), network.node(0).url);
  await alice.reach(t("app.start.name"));
  await page.keyboard.type("Alice");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog", { name: t("app.code.title") }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await alice.reach(t("app.nav.add"));
  await page.keyboard.press("Enter");
  await alice.reach(t("contacts.add.field"));
  await page.keyboard.type(link);
  await page.keyboard.press("Enter");
  await page.getByRole("region", { name: t("contacts.add.whom") }).waitFor();
  await alice.reach(t("contacts.add.go"));
  await page.keyboard.press("Enter");
  await page.getByPlaceholder(t("chat.composer.placeholder"), { exact: true }).waitFor();
  await alice.reach(/Message to/);
  await page.keyboard.type("Without a mouse");
  await page.keyboard.press("Enter");
  await bob.acceptRequest();
  await bob.message("Without a mouse").waitFor();
  expect(alice.unseen).toEqual([]);
});

/** A page on which nothing is ever clicked. */
async function keyboardOnly(context: BrowserContext, url: string) {
  const page = await context.newPage();
  await page.goto(url);
  const unseen: string[] = [];
  /** Tab after Tab until something of that name has the focus. */
  const reach = async (name: string | RegExp): Promise<void> => {
    for (let step = 0; step < 60; step += 1) {
      const focused = await page.evaluate(() => {
        const element = document.activeElement;
        if (!(element instanceof HTMLElement) || element === document.body) return null;
        const label =
          element.getAttribute("aria-label") ??
          (element.id ? document.querySelector(`label[for="${element.id}"]`)?.textContent : null) ??
          element.closest("label")?.textContent ??
          element.getAttribute("placeholder") ??
          element.textContent ??
          "";
        // What only takes the focus from a program, a whole pane, need not show it.
        const { outlineStyle, boxShadow } = getComputedStyle(element);
        return {
          label: label.trim(),
          isSeen: element.tabIndex < 0 || outlineStyle !== "none" || boxShadow !== "none",
        };
      });
      if (focused && !focused.isSeen) unseen.push(focused.label);
      if (
        focused &&
        (typeof name === "string" ? focused.label === name : name.test(focused.label))
      ) {
        return;
      }
      await page.keyboard.press("Tab");
    }
    throw new Error(`${name} is not reached with Tab`);
  };
  return { page, reach, unseen };
}
