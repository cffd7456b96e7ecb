/** What can be done with a message: reply, react, edit, delete, look how far it came; and files. */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { acquainted } from "./acquainted.ts";
import { expect, test } from "./harness.ts";
import { t } from "./person.ts";

test("reply, reaction, edit and deletion reach the other side", async ({ contexts, network }) => {
  const { alice, bob } = await acquainted(
    { context: await contexts("alice"), url: network.node(0).url },
    { context: await contexts("bob"), url: network.node(1).url },
  );
  await alice.send("Shall we meat?");
  await bob.message("Shall we meat?").waitFor();
  await alice.choose("Shall we meat?", t("chat.message.edit"));
  await alice.type("Shall we meet?");
  await alice.page.keyboard.press("Enter");
  await bob.message("Shall we meet?").getByText(t("chat.message.edited")).waitFor();
  expect(await bob.message("meat").count()).toBe(0);

  await bob.choose("Shall we meet?", t("chat.message.reply"));
  await bob.send("At the lake");
  await alice.message("At the lake").getByText("Shall we meet?").waitFor();

  const answer = bob.message("At the lake");
  await alice.message("At the lake").hover();
  await alice.message("At the lake").locator(".message-more").click();
  await alice.page.getByRole("menuitemcheckbox").first().click();
  await answer.locator(".message-reaction").waitFor();

  await bob.send("Wrong chat");
  await alice.message("Wrong chat").waitFor();
  await bob.choose("Wrong chat", t("chat.message.delete"));
  await bob.page.getByRole("button", { name: t("chat.message.delete"), exact: true }).click();
  await alice.message("Wrong chat").waitFor({ state: "detached" });
  await alice.message(t("chat.deleted")).waitFor();
});

test("a tap on the tick says on how many nodes it is stored", async ({ contexts, network }) => {
  const { alice } = await acquainted(
    { context: await contexts("alice"), url: network.node(0).url },
    { context: await contexts("bob"), url: network.node(1).url },
  );
  await alice.message("Hello").locator(".message-state").click();
  const dialog = alice.page.getByRole("dialog", { name: t("chat.details.title") });
  await dialog.getByText(/stored on \S*\d\S* of \S*\d/).waitFor();
});

test("an image and another file arrive as they were sent", async ({
  contexts,
  network,
  opened,
}) => {
  const { alice, bob } = await acquainted(
    { context: await contexts("alice"), url: network.node(0).url },
    { context: await contexts("bob"), url: network.node(1).url },
  );
  const notes = join(opened.profiles, "notes <b>.txt");
  const content = "Some notes.\n".repeat(2_000);
  await writeFile(notes, content);
  await alice.chooseFile(t("chat.composer.attach"), notes);
  await alice.page.getByText("notes <b>.txt").first().waitFor();
  await alice.press(t("chat.composer.send"));
  const file = bob.message("notes <b>.txt");
  await file.getByRole("button", { name: /Fetch/ }).click();
  const [download] = await Promise.all([
    bob.page.waitForEvent("download"),
    file.getByRole("button", { name: t("app.save") }).click(),
  ]);
  const chunks: Buffer[] = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk as Buffer);
  expect(Buffer.concat(chunks).toString()).toBe(content);

  const picture = join(opened.profiles, "lake.png");
  await alice.page.screenshot({ path: picture });
  await alice.chooseFile(t("chat.composer.attach"), picture);
  await alice.page.getByRole("button", { name: t("chat.file.remove") }).waitFor();
  await alice.press(t("chat.composer.send"));
  await bob.page.getByRole("button", { name: /Fetch/ }).click();
  const shown = bob.page.locator("article img");
  await shown.waitFor();
  expect(await shown.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(
    100,
  );
});
