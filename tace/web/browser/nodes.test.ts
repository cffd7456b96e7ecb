/** Whom a page talks to: its own node alone, until its user adds another and goes over to it. */

import { acquainted } from "./acquainted.ts";
import { Gate } from "./gate.ts";
import { expect, test } from "./harness.ts";
import { t } from "./person.ts";

test("nobody else is asked for anything until a node is added; then messages go on there", async ({
  contexts,
  network,
}) => {
  const gate = await Gate.open();
  try {
    const first = new URL(network.node(0).url);
    const second = new URL(network.node(2).url);
    const { alice, bob } = await acquainted(
      { context: await contexts("alice", gate.options), url: first.href },
      { context: await contexts("bob"), url: network.node(1).url },
    );
    const { page } = alice;
    await alice.at("network");
    // What the ring looks like is asked of the own node, too.
    await page.getByText(t("settings.network.yours")).first().waitFor();
    expect([...gate.asked]).toEqual([first.host]);

    await page.getByRole("textbox", { name: t("settings.network.address") }).fill(second.origin);
    await alice.press(t("settings.network.add-go"));
    await page.getByText(t("settings.network.added", { node: second.host })).waitFor();
    await alice.press(t("settings.network.options", { node: second.host }));
    await page.getByRole("menuitem", { name: t("settings.network.use") }).click();
    await page.getByText(t("settings.network.now-using", { node: second.host })).waitFor();
    await alice.at("");
    await alice.connected("connected");
    await alice.openChat("Bob");
    await alice.send("by way of another node");
    await bob.message("by way of another node").waitFor();
    await bob.send("and it came");
    await alice.message("and it came").waitFor();
    await bob.reached("and it came", "delivered");
    expect([...gate.asked]).toEqual([first.host, second.host]);
    expect(await alice.texts()).toEqual(["Hello", "Hi", "by way of another node", "and it came"]);
  } finally {
    await gate.close();
  }
});
