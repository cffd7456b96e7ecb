/** Finding each other by QR code, and making sure who it is. */

import { join } from "node:path";
import { acquainted } from "./acquainted.ts";
import { expect, test } from "./harness.ts";
import { Person, t } from "./person.ts";

test("a QR code made on one page is read from an image on the other", async ({
  contexts,
  network,
  opened,
}) => {
  const alice = await Person.begin(await contexts("alice"), network.node(0).url, "Alice");
  const bob = await Person.begin(await contexts("bob"), network.node(1).url, "Bob");
  await alice.later();
  await bob.later();
  await bob.connected("connected");
  const picture = join(opened.profiles, "bob.png");
  await bob.at("settings/profile");
  await bob.page.getByRole("img", { name: t("settings.profile.qr") }).screenshot({ path: picture });

  await alice.at("add");
  await alice.chooseFile(t("contacts.scan.image"), picture);
  const found = alice.page.getByRole("region", { name: t("contacts.add.whom") });
  await found.getByText(t("contacts.standing.unknown")).waitFor();
  await found.getByRole("button", { name: t("contacts.add.go"), exact: true }).click();
  await alice.send("Found you");
  await bob.acceptRequest();
  await bob.message("Found you").waitFor();
  await alice.reached("Found you", "delivered");
});

test("a picture without a code, a damaged link and one's own link say what they are", async ({
  contexts,
  network,
  opened,
}) => {
  const alice = await Person.begin(await contexts("alice"), network.node(0).url, "Alice");
  await alice.later();
  const picture = join(opened.profiles, "nothing.png");
  await alice.page.screenshot({ path: picture });
  const own = await alice.link();
  await alice.at("add");
  await alice.chooseFile(t("contacts.scan.image"), picture);
  await alice.page.getByText(t("contacts.scan.no-code")).waitFor();
  const field = alice.page.getByRole("textbox", { name: t("contacts.add.field") });
  const look = alice.page.getByRole("button", { name: t("contacts.add.look") });
  await field.fill(`${own.slice(0, -1)}${own.endsWith("0") ? "1" : "0"}`);
  await look.click();
  await alice.page.getByRole("alert").filter({ hasText: /\w/ }).first().waitFor();
  expect(await alice.page.getByRole("region", { name: t("contacts.add.whom") }).count()).toBe(0);
  await field.fill(own);
  await look.click();
  await alice.page.getByText(t("contacts.standing.me"), { exact: true }).waitFor();
});

test("both see one safety number, and one reads the other's from an image", async ({
  contexts,
  network,
  opened,
}) => {
  const { alice, bob } = await acquainted(
    { context: await contexts("alice"), url: network.node(0).url },
    { context: await contexts("bob"), url: network.node(1).url },
  );
  await alice.aboutThem();
  await bob.aboutThem();
  const number = await alice.safetyNumber();
  expect(number).toHaveLength(12);
  expect(await bob.safetyNumber()).toEqual(number);

  const picture = join(opened.profiles, "safety.png");
  await bob.page.getByRole("img", { name: t("contacts.safety.qr") }).screenshot({ path: picture });
  await alice.chooseFile(t("contacts.scan.image"), picture);
  await alice.page.getByText(t("contacts.safety.same", { name: "Bob" })).waitFor();
  await alice.page.getByText(t("contacts.safety.verified"), { exact: true }).waitFor();

  // Somebody's link is no safety number: it says nothing about the other.
  const link = join(opened.profiles, "link.png");
  await bob.at("settings/profile");
  await bob.page.getByRole("img", { name: t("settings.profile.qr") }).screenshot({ path: link });
  await alice.page
    .getByRole("button", { name: t("app.close") })
    .first()
    .click();
  await alice.chooseFile(t("contacts.scan.image"), link);
  await alice.page.getByRole("alert").filter({ hasText: /\w/ }).first().waitFor();
  expect(await alice.page.getByText(t("contacts.safety.different", { name: "Bob" })).count()).toBe(
    0,
  );
  await alice.page.getByText(t("contacts.safety.verified"), { exact: true }).waitFor();
});
