/** From one browser to another: with an export, with the recovery code alone, with contacts. */

import { join } from "node:path";
import { acquainted } from "./acquainted.ts";
import { expect, test } from "./harness.ts";
import { Person, t } from "./person.ts";

test("an export brings contacts and history along, and both sides go on", async ({
  contexts,
  network,
  opened,
}) => {
  const { alice: old, bob } = await acquainted(
    { context: await contexts("old"), url: network.node(0).url },
    { context: await contexts("bob"), url: network.node(1).url },
  );
  const code = await old.saveCodeLater();
  const file = join(opened.profiles, "export.tace");
  await old.download(t("settings.storage.export-go"), file);

  // What is in it can be looked at first; a wrong code opens nothing.
  await old.press(t("settings.storage.test"));
  await old.chooseFile(t("app.import.choose"), file);
  await old.page.getByRole("textbox", { name: t("app.restore.code") }).fill(code);
  await old.press(t("app.import.look"));
  await old.page.getByText(t("settings.storage.test-good")).waitFor();
  await old.page.getByText(t("app.import.contacts", { count: 1 })).waitFor();
  await old.page.getByText(t("app.import.messages", { count: 2 })).waitFor();

  const alice = await Person.atStart(await contexts("new"), network.node(2).url, "Alice");
  await alice.press(t("app.start.have-export"));
  await alice.chooseFile(t("app.import.choose"), file);
  const field = alice.page.getByRole("textbox", { name: t("app.restore.code") });
  await field.fill(`${code.slice(0, -1)}${code.endsWith("0") ? "1" : "0"}`);
  await alice.press(t("app.import.look"));
  await alice.page
    .getByText(/\w/)
    .and(alice.page.getByRole("alert"))
    .or(alice.page.locator("[aria-invalid=true]"))
    .first()
    .waitFor();
  await field.fill(code);
  await alice.press(t("app.import.look"));
  await alice.page.getByText(t("app.import.messages", { count: 2 })).waitFor();
  await alice.press(t("app.import.go"));
  await alice.openChat("Bob");
  expect(await alice.texts()).toEqual(["Hello", "Hi"]);
  // The old one notices when it looks after its records; at the latest when it is opened again.
  await old.page.reload();
  await old.page.getByRole("heading", { name: t("app.replaced.title") }).waitFor();

  await alice.send("From my new browser");
  await bob.message("From my new browser").waitFor();
  await alice.reached("From my new browser", "delivered");
  await bob.send("I see you there");
  await alice.message("I see you there").waitFor();
  await bob.reached("I see you there", "delivered");
});

test("the recovery code alone: the same identity, and contacts' next messages arrive", async ({
  contexts,
  network,
}) => {
  const { alice: old, bob } = await acquainted(
    { context: await contexts("old"), url: network.node(0).url },
    { context: await contexts("bob"), url: network.node(1).url },
  );
  const link = await old.link();
  const code = await old.saveCodeLater();
  const identity = link.slice(link.indexOf("#"));
  await old.page.close();

  const alice = await Person.atStart(await contexts("new"), network.node(2).url, "Alice");
  await alice.restore(code);
  const now = await alice.link();
  expect(now.slice(now.indexOf("#"))).toBe(identity);

  // Bob's page finds the new device when the old one has not confirmed for half a minute.
  alice.page.setDefaultTimeout(100_000);
  await bob.send("Are you there?");
  await alice.acceptRequest();
  await alice.message("Are you there?").waitFor();
  await bob.reached("Are you there?", "delivered");
  await alice.send("Yes, again");
  await bob.message("Yes, again").waitFor();
});

test("contacts go along as a file", async ({ contexts, network, opened }) => {
  const { alice } = await acquainted(
    { context: await contexts("alice"), url: network.node(0).url },
    { context: await contexts("bob"), url: network.node(1).url },
  );
  const file = join(opened.profiles, "contacts.json");
  await alice.at("settings/storage");
  await alice.download(t("settings.storage.contacts-export"), file);
  const carol = await Person.begin(await contexts("carol"), network.node(2).url, "Carol");
  await carol.later();
  await carol.at("settings/storage");
  await carol.chooseFile(t("settings.storage.contacts-import"), file);
  await carol.page.getByText(t("settings.storage.contacts-added", { count: 1 })).waitFor();
  await carol.at("");
  await carol.openChat("Bob");
});
