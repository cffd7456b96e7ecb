/** What somebody who was never let in can make an engine do: nothing that lasts, nothing that shows. */

import { afterEach, beforeEach, expect, test } from "vitest";
import { INNER_BYTES, prefixInSession } from "../e2ee/inner";
import { seal } from "../e2ee/sealed";
import { identityPoint } from "../store/ids";
import { concat } from "../wire/bytes";
import { Own } from "./own";
import { type Person, World } from "./testing/engines";

let world: World;

beforeEach(() => {
  world = new World();
});

afterEach(async () => {
  await world.close();
});

const random = (count: number) => crypto.getRandomValues(new Uint8Array(count));

/** Seals to Bob what claims to come from a device of that person; anybody can. */
async function claim(bob: Person, from: Person): Promise<void> {
  const own = await Own.load(bob.stored.reader);
  if (!own) throw new Error("nobody has started there");
  const prefix = prefixInSession(identityPoint(from.identity), random(16));
  const envelope = await seal(concat(prefix, random(INNER_BYTES - prefix.length)), {
    inboxKey: own.keys.inbox.point,
    networkId: world.network.networkId,
    mailbox: bob.contactsMailbox,
    expiresHours: Math.floor(world.clock.now() / 3_600_000) + 24,
    random,
  });
  world.network.put(envelope);
}

test("false claims of a contact's devices do not keep out the contact's next device", async () => {
  const [ada, bob] = await world.pair();
  const hello = await ada.say(bob, "hello");
  await world.until(async () => (await ada.message(hello))?.state === "delivered");
  for (let round = 0; round < 3; round += 1) {
    for (let number = 0; number < 16; number += 1) await claim(bob, ada);
    await world.until(() => world.network.waiting === 0);
    await world.pass(1_000);
  }
  expect((await bob.stored.reader.all("device")).length).toBeLessThanOrEqual(32);
  const code = await ada.queries.recoveryCode();
  await ada.close();
  const fresh = await world.browser();
  await fresh.owner.restore(code, "Ada");
  await world.settled();
  await fresh.owner.addContact(bob.code, "");
  await fresh.say(bob, "from my new browser");
  await world.until(async () => (await bob.texts(fresh)).includes("from my new browser"));
}, 30_000);

test("nobody is looked up because a stranger wrote from two devices", async () => {
  const [ada, bob] = [await world.person("Ada"), await world.person("Bob")];
  await world.settled();
  await ada.owner.addContact(bob.code, "");
  await ada.say(bob, "from one");
  await world.until(() => bob.owner.state.requests === 1);
  const code = await ada.queries.recoveryCode();
  await ada.close();
  const fresh = await world.browser();
  await fresh.owner.restore(code, "Ada");
  await world.settled();
  await fresh.owner.addContact(bob.code, "");
  await fresh.say(bob, "from another");
  await world.until(async () => (await bob.stored.reader.keys("message")).length === 2);
  await world.pass(5_000);
  const person = await bob.stored.reader.get("person", fresh.identity);
  expect(person).toMatchObject({ standing: "request", deviceList: null, lookedUpMs: 0 });
  expect((await bob.queries.chat(fresh.identity))?.uncheckedDevice).toBe(false);
  expect(await bob.texts(fresh)).toEqual(["from one"]);
  // Once they are let in they are looked up, and what waited for that is shown.
  await bob.say(fresh, "who is it?");
  await world.until(async () => (await bob.texts(fresh)).includes("from another"));
  expect(await bob.stored.reader.get("person", fresh.identity)).toMatchObject({
    unlistedDevice: false,
    deviceList: expect.anything(),
    unchecked: [],
  });
});
