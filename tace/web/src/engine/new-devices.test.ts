/** A new device of a contact: their list is looked at before anything of it is shown. */

import { afterEach, beforeEach, expect, test } from "vitest";
import { identityPoint } from "../store/ids";
import { hex } from "../wire/bytes";
import { KIND_DEVICE_LIST, userRecordKey } from "../wire/user-record";
import { type Person, World } from "./testing/engines";

let world: World;

beforeEach(() => {
  world = new World();
});

afterEach(async () => {
  await world.close();
});

async function delivered(sender: Person, id: string): Promise<void> {
  await world.until(async () => (await sender.message(id))?.state === "delivered");
}

async function listKey(person: Person): Promise<string> {
  const identity = identityPoint(person.identity);
  return hex(await userRecordKey(KIND_DEVICE_LIST, identity));
}

/** Bob knows Ada, and is away; she goes on in a new browser, whose messages wait for him. */
async function moved(said: readonly string[]): Promise<{ ada: Person; bob: Person }> {
  const [old, bob] = await world.pair();
  await delivered(old, await old.say(bob, "hello"));
  await delivered(bob, await bob.say(old, "hello back"));
  const code = await old.queries.recoveryCode();
  await old.close();
  await bob.close();
  const ada = await world.browser();
  await ada.owner.restore(code, "Ada Lovelace");
  await world.until(() => ada.isSettled);
  await ada.owner.addContact(bob.code, "");
  for (const text of said) await stored(ada, await ada.say(bob, text));
  return { ada, bob };
}

async function stored(sender: Person, id: string): Promise<void> {
  await world.until(async () => (await sender.message(id))?.state === "stored");
}

/** No node gives records. */
function noRecords(isSo: boolean): void {
  for (const node of [world.one, world.two]) {
    node.faults.refuseRecords = isSo ? Number.POSITIVE_INFINITY : 0;
  }
}

function toldOf(bob: Person): number {
  return bob.events.filter((event) => event.event === "arrived").length;
}

async function ofAda(bob: Person, ada: Person): Promise<string[]> {
  return (await bob.messages(ada)).filter((each) => !each.mine).map((each) => each.text);
}

test("it waits until the list was looked at, over a reload, and is shown in its order", async () => {
  const { ada, bob } = await moved(["one", "two"]);
  noRecords(true);
  for (const node of [world.one, world.two]) node.faults.reversePushes = true;
  await bob.open();
  bob.events.length = 0;
  await world.until(async () => (await bob.stored.reader.keys("message")).length === 4);
  await world.pass(10_000);
  expect(await ofAda(bob, ada)).toEqual(["hello"]);
  expect(toldOf(bob)).toBe(0);
  expect(bob.owner.state.unread).toBe(1);
  // Nor what it calls her; that something waits is said.
  expect(await bob.queries.chat(ada.identity)).toMatchObject({
    name: "Ada",
    uncheckedDevice: true,
    unlistedDevice: false,
  });
  // Nor where it is quoted.
  const [hidden] = await bob.stored.reader.all("message", { index: "unshown" });
  await bob.say(ada, "what?", hidden?.id ?? null);
  expect((await bob.messages(ada)).at(-1)?.replyTo).toMatchObject({ kind: "gone", text: "" });
  await bob.reload();
  await world.pass(10_000);
  expect(await ofAda(bob, ada)).toEqual(["hello"]);
  expect((await bob.queries.chat(ada.identity))?.uncheckedDevice).toBe(true);
  noRecords(false);
  await world.until(async () => (await ofAda(bob, ada)).length === 3);
  expect(await ofAda(bob, ada)).toEqual(["hello", "one", "two"]);
  // Told of in that order, too, though it came in the other.
  const [, one, two] = (await bob.messages(ada)).filter((each) => !each.mine);
  expect(bob.events.filter((event) => event.event === "arrived")).toMatchObject([
    { ids: [one?.id, two?.id] },
  ]);
  const chat = await bob.queries.chat(ada.identity);
  expect(chat).toMatchObject({
    name: "Ada Lovelace",
    uncheckedDevice: false,
    unlistedDevice: false,
  });
  expect(chat?.newDeviceSinceMs).not.toBeNull();
});

test("an export says nothing of devices that were not looked up", async () => {
  const { ada, bob } = await moved(["one"]);
  noRecords(true);
  await bob.open();
  await world.until(async () => (await bob.queries.chat(ada.identity))?.uncheckedDevice === true);
  const code = await bob.queries.recoveryCode();
  const file = await bob.owner.exportAll();
  await bob.close();
  const again = await world.browser();
  await again.owner.importAll(file, code);
  const person = await again.stored.reader.get("person", ada.identity);
  expect(person).toMatchObject({ name: "Ada", standing: "contact" });
  expect(person?.unchecked).toBeUndefined();
});

test("a look-up that fails is repeated, ever slower", async () => {
  const { ada, bob } = await moved(["one"]);
  noRecords(true);
  await bob.open();
  await world.until(async () => (await bob.queries.chat(ada.identity))?.uncheckedDevice === true);
  await world.pass(5 * 60_000);
  const asked = world.network.recordsAsked;
  await world.pass(10 * 60_000);
  const more = world.network.recordsAsked - asked;
  expect(more).toBeGreaterThan(5);
  expect(more).toBeLessThan(200);
  noRecords(false);
  await world.until(async () => (await ofAda(bob, ada)).includes("one"), 90);
});

test("with no node left it waits, and is shown when one is back", async () => {
  const { ada, bob } = await moved(["one"]);
  noRecords(true);
  await bob.open();
  await world.until(async () => (await bob.queries.chat(ada.identity))?.uncheckedDevice === true);
  for (const node of [world.one, world.two]) node.kill();
  noRecords(false);
  await world.pass(10 * 60_000);
  expect(await ofAda(bob, ada)).toEqual(["hello"]);
  for (const node of [world.one, world.two]) node.revive();
  await world.pass(1_000);
  bob.owner.note({ note: "online", online: false });
  bob.owner.note({ note: "online", online: true });
  await world.until(async () => (await ofAda(bob, ada)).includes("one"), 10);
});

test("one that is not listed is told of, and then shown, what it sends later at once", async () => {
  const [old, bob] = await world.pair();
  await delivered(old, await old.say(bob, "hello"));
  await delivered(bob, await bob.say(old, "hello back"));
  const key = await listKey(old);
  const list = world.network.records.get(key);
  const code = await old.queries.recoveryCode();
  await old.close();
  const ada = await world.browser();
  await ada.owner.restore(code, "Ada");
  await world.until(() => ada.isSettled);
  await world.pass(2_000);
  // What the nodes give is the list without her new device.
  if (!list) throw new Error("she has no list");
  world.network.records.set(key, list);
  await ada.owner.addContact(bob.code, "");
  bob.events.length = 0;
  await delivered(ada, await ada.say(bob, "from one that is not listed"));
  await world.until(async () => (await ofAda(bob, ada)).length === 2);
  const told = bob.events.map(({ event }) => event).filter((event) => event !== "state");
  expect(told.indexOf("chats")).toBeLessThan(told.indexOf("arrived"));
  expect(await bob.queries.chat(ada.identity)).toMatchObject({
    uncheckedDevice: false,
    unlistedDevice: true,
  });
  await stored(ada, await ada.say(bob, "and again"));
  await world.until(async () => (await ofAda(bob, ada)).includes("and again"), 10);
});

test("what it changes of other messages waits as well", async () => {
  const { ada, bob } = await moved([]);
  const hello = (await bobsHello(bob, ada)) ?? "";
  await bob.close();
  // As if her history had come with her.
  const one = await ada.say(bob, "one");
  await ada.stored.change(async (change) => {
    const said = await change.get("message", one);
    if (said) change.put("message", { ...said, id: hello, contentId: hello, place: 1 });
  });
  await ada.owner.edit(hello, "goodbye");
  await world.pass(2_000);
  noRecords(true);
  await bob.open();
  await world.until(async () => (await bob.queries.chat(ada.identity))?.uncheckedDevice === true);
  await world.pass(5_000);
  expect(await ofAda(bob, ada)).toEqual(["hello"]);
  noRecords(false);
  await world.until(async () => (await ofAda(bob, ada)).includes("one"));
  expect(await ofAda(bob, ada)).toEqual(["goodbye", "one"]);
});

async function bobsHello(bob: Person, ada: Person): Promise<string | undefined> {
  await bob.open();
  return (await bob.messages(ada)).find((each) => !each.mine)?.id;
}
