/** Without a network: what is typed waits, over a reload too, and goes by itself. */

import { acquainted } from "./acquainted.ts";
import { expect, test } from "./harness.ts";
import { Person } from "./person.ts";

test("three messages typed offline, and a reload offline, arrive once each", async ({
  contexts,
  network,
  trouble,
}) => {
  trouble.allowLostNodes();
  const context = await contexts("alice");
  const { alice, bob } = await acquainted(
    { context, url: network.node(0).url },
    { context: await contexts("bob"), url: network.node(1).url },
  );
  await alice.keptByServiceWorker();
  await context.setOffline(true);
  await alice.connected("offline");
  for (const text of ["one", "two", "three"]) await alice.send(text);
  await alice.type("half a sent");
  await alice.page.reload();
  await alice.openChat("Bob");
  for (const text of ["one", "two", "three"]) await alice.message(text).waitFor();
  expect(await alice.typed()).toBe("half a sent");
  await alice.connected("offline");
  await context.setOffline(false);
  for (const text of ["one", "two", "three"]) {
    await bob.message(text).waitFor();
    await alice.reached(text, "delivered");
  }
  expect(await bob.texts()).toEqual(["Hello", "Hi", "one", "two", "three"]);
  expect(await alice.texts()).toEqual(["Hello", "Hi", "one", "two", "three"]);
});

test("a tab that is opened again later has everything", async ({ profiles, contexts, network }) => {
  const profile = await profiles("alice");
  const { bob } = await acquainted(
    { context: profile, url: network.node(0).url },
    { context: await contexts("bob"), url: network.node(1).url },
  );
  await profile.close();
  await bob.send("while you were away");
  await bob.reached("while you were away", "stored");
  const alice = await Person.back(await profiles("alice"), network.node(0).url, "Alice");
  await alice.openChat("Bob");
  await alice.message("while you were away").waitFor();
  await bob.reached("while you were away", "delivered");
});
