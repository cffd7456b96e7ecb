/** What is kept and let go of: restores, exports, lost sessions, retention. */

import { afterEach, beforeEach, expect, test } from "vitest";
import { addPerson } from "../store/people";
import { hex } from "../wire/bytes";
import { makeEnvelope } from "../wire/objects";
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

async function acquainted(): Promise<[Person, Person]> {
  const [ada, bob] = await world.pair();
  await delivered(ada, await ada.say(bob, "hello"));
  await delivered(bob, await bob.say(ada, "hello back"));
  return [ada, bob];
}

test("the recovery code can be read until it is said to be saved", async () => {
  const ada = await world.person("Ada");
  const code = await ada.queries.recoveryCode();
  expect(code).toMatch(/^([0-9A-Z]{5}-){5}[0-9A-Z]{5}$/);
  expect(await ada.queries.checkRecoveryCode(code)).toBe(true);
  await ada.owner.codeSaved();
  await expect(ada.queries.recoveryCode()).rejects.toMatchObject({ code: "code-forgotten" });
  expect(ada.owner.state.backup.codeSaved).toBe(true);
  expect(await ada.queries.checkRecoveryCode(code)).toBe(true);
  await expect(ada.owner.create("Eve")).rejects.toMatchObject({ code: "identity-exists" });
});

test("the code alone: same identity, and contacts' next messages arrive", async () => {
  const [ada, bob] = await acquainted();
  const code = await ada.queries.recoveryCode();
  const { identity } = ada;
  await ada.close();
  const fresh = await world.browser();
  await fresh.owner.restore(code, "Ada");
  expect(fresh.identity).toBe(identity);
  await world.settled();
  const id = await bob.say(ada, "do you read me?");
  await world.until(async () => (await fresh.queries.chats()).length === 1, 300);
  await fresh.owner.accept(bob.identity);
  await delivered(bob, id);
  await world.until(async () => (await fresh.texts(bob)).includes("do you read me?"));
  await delivered(fresh, await fresh.say(bob, "I do"));
  // Bob is told of the device that he did not know.
  expect((await bob.queries.chat(identity))?.newDeviceSinceMs).not.toBeNull();
});

test("a device whose identity was restored elsewhere stops and says so", async () => {
  const [ada] = await acquainted();
  const code = await ada.queries.recoveryCode();
  const fresh = await world.browser();
  await world.pass(2_000);
  await fresh.owner.restore(code, "Ada");
  await world.settled();
  await ada.reload();
  await world.until(() => ada.owner.state.phase.at === "replaced");
  await ada.reload();
  expect(ada.owner.state.phase.at).toBe("replaced");
});

test("export and import: contacts and history are back, and the next message arrives", async () => {
  const [ada, bob] = await acquainted();
  await ada.owner.setChat(bob.identity, { alias: "Robert", muted: true });
  await ada.owner.setVerified(bob.identity, true);
  await ada.owner.setSettings({ readReceipts: true });
  const code = await ada.queries.recoveryCode();
  const file = await ada.owner.exportAll();
  expect(ada.owner.state.backup.lastExportMs).not.toBeNull();
  await ada.close();
  const fresh = await world.browser();
  const other = "0".repeat(30);
  await expect(fresh.owner.importAll(file, other)).rejects.toMatchObject({
    code: "bad-recovery-code",
  });
  const broken = file.slice();
  broken[60] = (broken[60] ?? 0) ^ 1;
  await expect(fresh.owner.importAll(broken, code)).rejects.toMatchObject({
    code: expect.stringMatching(/bad-(export|recovery-code)/),
  });
  expect(fresh.owner.state.phase.at).toBe("new");
  expect(await fresh.owner.inspectExport(file, code)).toMatchObject({ contacts: 1, messages: 2 });
  await fresh.owner.importAll(file, code);
  expect(fresh.owner.state).toMatchObject({
    phase: { at: "ready" },
    settings: { readReceipts: true },
  });
  expect(await fresh.queries.chat(bob.identity)).toMatchObject({
    title: "Robert",
    muted: true,
    verified: true,
    standing: "contact",
  });
  expect(await fresh.texts(bob)).toEqual(["hello", "hello back"]);
  await world.settled();
  await world.pass(5_000);
  await delivered(bob, await bob.say(ada, "welcome back"));
  await world.until(async () => (await fresh.texts(bob)).at(-1) === "welcome back");
  await delivered(fresh, await fresh.say(bob, "thank you"));
  await world.until(async () => (await bob.texts(ada)).at(-1) === "thank you");
});

test("sessions that were lost start anew, and what was not confirmed comes again", async () => {
  const [ada, bob] = await acquainted();
  await bob.close();
  await bob.open();
  const devices = await bob.stored.reader.all("device");
  await bob.stored.change(async (change) => {
    for (const row of devices) change.put("device", { ...row, pair: null });
  });
  const id = await ada.say(bob, "can you read this?");
  await delivered(ada, id);
  await world.pass(5_000);
  expect((await bob.messages(ada)).map((message) => [message.kind, message.text])).toEqual([
    ["text", "hello"],
    ["text", "hello back"],
    ["text", "can you read this?"],
  ]);
  await delivered(bob, await bob.say(ada, "yes"));
});

test("what nobody can unseal is removed, and its sender seals it anew", async () => {
  const [ada, bob] = await acquainted();
  const mailbox = bob.contactsMailbox;
  const blob = crypto.getRandomValues(new Uint8Array(3552));
  const lock = crypto.getRandomValues(new Uint8Array(32));
  const expiresHours = Math.floor(world.clock.now() / 3_600_000) + 24;
  const junk = await makeEnvelope({ mailbox, blob, lock, expiresHours });
  world.network.put(junk);
  await world.until(() => world.network.removed.has(hex(junk.id)));
  await delivered(ada, await ada.say(bob, "still there?"));
});

test("one stranger too many waits in the mailbox", async () => {
  const bob = await world.person("Bob");
  await world.settled();
  await bob.stored.change(async (change) => {
    for (let number = 0; number < 200; number += 1) {
      const identity = `A${String(number).padStart(43, "x")}`;
      await addPerson(change, identity, "request", world.clock.now());
    }
  });
  const eve = await world.person("Eve");
  await world.settled();
  await eve.owner.addContact(bob.code, "");
  const id = await eve.say(bob, "let me in");
  await world.until(async () => (await eve.message(id))?.state === "stored");
  await world.pass(2_000);
  expect(await bob.queries.chat(eve.identity)).toBeNull();
  expect(world.network.waiting).toBe(1);
  await bob.owner.deleteChat(`A${"0".padStart(43, "x")}`);
  await bob.reload();
  await world.until(async () => (await bob.queries.chat(eve.identity)) !== null);
  expect(await bob.texts(eve)).toEqual(["let me in"]);
});

test("what is older than its chat's retention goes, with what hangs on it", async () => {
  const [ada, bob] = await acquainted();
  await ada.close();
  await bob.close();
  await world.skip(3 * 24 * 3_600_000);
  await ada.open();
  await bob.open();
  await world.settled();
  await delivered(ada, await ada.say(bob, "three days later"));
  await ada.owner.setChat(bob.identity, { retentionDays: 2 });
  expect(await ada.texts(bob)).toEqual(["three days later"]);
  await bob.owner.setSettings({ retentionDays: 1 });
  expect(await bob.texts(ada)).toEqual(["three days later"]);
  expect((await bob.queries.chat(ada.identity))?.last?.text).toBe("three days later");
});

test("a chat that was deleted begins anew", async () => {
  const [ada, bob] = await acquainted();
  await ada.owner.deleteChat(bob.identity);
  expect(await ada.queries.chats()).toEqual([]);
  expect(await ada.stored.reader.all("device")).toEqual([]);
  await ada.owner.addContact(bob.code, "");
  await delivered(ada, await ada.say(bob, "hello again"));
  expect(await bob.texts(ada)).toEqual(["hello", "hello back", "hello again"]);
  await delivered(bob, await bob.say(ada, "and again"));
  await world.until(async () => (await ada.texts(bob)).length === 2);
  expect(await ada.texts(bob)).toEqual(["hello again", "and again"]);
});

test("search finds through case and accents, and follows what changes", async () => {
  const [ada, bob] = await acquainted();
  const id = await ada.say(bob, "The café is closed; see you at the CAFETERIA");
  const found = async (text: string) => (await ada.queries.search({ text, limit: 10 })).hits;
  const [hit] = await found("cafe");
  expect(hit).toMatchObject({ id, title: "Bob" });
  expect(hit?.marks.map(([start, end]) => hit.text.slice(start, end))).toEqual(["café", "CAFE"]);
  await ada.owner.edit(id, "The tearoom is open");
  expect(await found("cafe")).toEqual([]);
  expect(await found("tearoom")).toHaveLength(1);
  expect((await ada.queries.search({ text: "hello", from: "them", limit: 10 })).total).toBe(1);
});

test("forgetting leaves nothing behind", async () => {
  const [ada] = await acquainted();
  await ada.owner.forget();
  expect(ada.owner.state).toMatchObject({ phase: { at: "new" }, me: null });
  for (const table of ["person", "device", "message", "outgoing", "prekey", "node"] as const) {
    expect(await ada.stored.reader.all(table)).toEqual([]);
  }
  await ada.owner.create("Somebody else");
  await world.settled();
  expect(ada.owner.state.me?.name).toBe("Somebody else");
});

test("contacts as a file", async () => {
  const [ada, bob] = await acquainted();
  const cards = await ada.queries.exportContacts();
  expect(cards).toEqual([{ code: bob.code, name: "Bob", verified: false }]);
  const eve = await world.person("Eve");
  expect(await eve.owner.importContacts(cards)).toBe(1);
  expect(await eve.owner.importContacts(cards)).toBe(0);
  const bad = eve.owner.importContacts([{ code: "tace1no", name: "", verified: false }]);
  await expect(bad).rejects.toMatchObject({ code: "bad-contacts" });
});
