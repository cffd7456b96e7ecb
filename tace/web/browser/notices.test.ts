/** What tells of a message that nobody has looked at: the line before it, and a notification. */

import type { Page } from "playwright-core";
import { acquainted } from "./acquainted.ts";
import { expect, test } from "./harness.ts";
import { t } from "./person.ts";

const SECRET = "the treasure lies below the oak";

/** Keeps what the page asks the system to show: a headless browser shows nothing of it. */
async function recordNotifications(page: Page): Promise<() => Promise<string[]>> {
  const shown = await page.evaluateHandle(() => {
    const notices: string[] = [];
    globalThis.Notification = class extends Notification {
      constructor(title: string, options?: NotificationOptions) {
        super(title, options);
        notices.push(JSON.stringify([title, options]));
      }
    };
    return notices;
  });
  return () => shown.jsonValue();
}

test("a message to a tab without the focus is notified without content, and has a line before it", async ({
  contexts,
  network,
}) => {
  const context = await contexts("bob", { permissions: ["notifications"] });
  const { alice, bob } = await acquainted(
    { context: await contexts("alice"), url: network.node(0).url },
    { context, url: network.node(1).url },
  );
  await bob.at("settings/notifications");
  await bob.page.getByRole("switch", { name: t("settings.notifications.on") }).click();
  await bob.at("");
  const notifications = await recordNotifications(bob.page);
  // As another window in front of it would have it.
  await bob.page.evaluate(() => {
    document.hasFocus = () => false;
  });
  await alice.send(SECRET);
  await expect.poll(notifications).toHaveLength(1);
  const [notice = ""] = await notifications();
  expect(notice).toContain(t("app.notification.message", { count: 1 }));
  for (const content of [SECRET, "Alice"]) expect(notice).not.toContain(content);

  await bob.openChat("Alice");
  await bob.message(SECRET).waitFor();
  const lines = await bob.page.locator(".message-new, .message-text").allTextContents();
  expect(lines.map((line) => line.trim())).toEqual(["Hello", "Hi", t("chat.screen.new"), SECRET]);
});
