/** Two people on a network in memory: what is said arrives once, in order, whatever happens. */

import { afterEach, beforeEach, expect, test } from "vitest";
import { Introduction } from "../store/rows";
import { HERE, type Person, World } from "./testing/engines";

let world: World;

beforeEach(() => {
  world = new World();
});

afterEach(async () => {
  await world.close();
});

async function delivered(sender: Person, ids: readonly string[]): Promise<void> {
  await world.until(async () => {
    const all = await Promise.all(ids.map((id) => sender.message(id)));
    return all.every((message) => message?.state === "delivered");
  });
}

/** What they show of the other after those two, once it is all there. */
async function shows(reader: Person, writer: Person, texts: readonly string[]): Promise<void> {
  const shown = async () => (await reader.texts(writer)).slice(2);
  await world.until(async () => (await shown()).length >= texts.length);
  expect(await shown()).toEqual(texts);
}

/** Already in a conversation, both ways. */
async function acquainted(): Promise<[Person, Person]> {
  const [ada, bob] = await world.pair();
  await delivered(ada, [await ada.say(bob, "hello")]);
  await delivered(bob, [await bob.say(ada, "hello back")]);
  return [ada, bob];
}

test("from saved to stored to delivered, in both directions", async () => {
  const [ada, bob] = await world.pair();
  const id = await ada.say(bob, "hello Bob");
  expect((await ada.message(id))?.state).toBe("saved");
  await delivered(ada, [id]);
  expect(await bob.texts(ada)).toEqual(["hello Bob"]);
  await delivered(bob, [await bob.say(ada, "hello Ada")]);
  expect(await ada.texts(bob)).toEqual(["hello Bob", "hello Ada"]);
  const details = await ada.queries.details(id);
  expect(details).toMatchObject({ copies: 3, of: 4, node: HERE, parts: 1, refusal: null });
  expect((await ada.queries.chat(bob.identity))?.name).toBe("Bob");
  // Everything that was let go of is gone from the nodes and from the outboxes.
  await world.until(() => world.network.waiting === 0);
  expect(await ada.stored.reader.all("outgoing")).toEqual([]);
  expect(await ada.stored.reader.all("parcel")).toEqual([]);
});

test("a new name comes with the next thing said", async () => {
  const [ada, bob] = await acquainted();
  await ada.owner.setName("Ada Lovelace");
  await delivered(ada, [await ada.say(bob, "call me that")]);
  expect((await bob.queries.chat(ada.identity))?.name).toBe("Ada Lovelace");
});

test("our name goes along until something that it rode with is confirmed", async () => {
  const [ada, bob] = await world.pair();
  const introduction = async (set?: Introduction) => {
    const row = (await ada.stored.reader.all("device")).find(
      (each) => each.identity === bob.identity,
    );
    if (!row) throw new Error("Bob's device is not known");
    if (set !== undefined) {
      await ada.stored.change(async (change) =>
        change.put("device", { ...row, introduction: set }),
      );
    }
    return row.introduction;
  };
  await bob.close();
  const full = await ada.say(bob, "x".repeat(2000));
  await world.until(async () => (await ada.message(full))?.state === "stored");
  // It had no room for more; now as if our name had ridden with something that was lost on its way.
  expect(await introduction(Introduction.SENT)).toBe(Introduction.NOT_SENT);
  await bob.open();
  await delivered(ada, [full]);
  expect(await introduction()).toBe(Introduction.SENT);
  await delivered(ada, [await ada.say(bob, "short")]);
  expect(await introduction()).toBe(Introduction.CONFIRMED);
});

test("a stranger waits in Requests and is told nothing before being accepted", async () => {
  const [ada, bob] = [await world.person("Ada"), await world.person("Bob")];
  await world.settled();
  await ada.owner.addContact(bob.code, "my Bob");
  const id = await ada.say(bob, "hello from a stranger");
  await world.until(() => bob.owner.state.requests === 1);
  const chat = await bob.queries.chat(ada.identity);
  expect(chat).toMatchObject({ standing: "request", name: "Ada", unread: 1 });
  expect(chat?.last?.text).toBe("");
  expect(bob.owner.state.unread).toBe(0);
  await world.pass(10_000);
  // The node proved that it was opened; no receipt was sent.
  expect(await ada.stored.reader.all("outgoing")).toHaveLength(1);
  await bob.owner.accept(ada.identity);
  await delivered(ada, [id]);
  await world.until(async () => (await ada.stored.reader.all("outgoing")).length === 0);
  expect(await bob.queries.chat(ada.identity)).toMatchObject({ standing: "contact", unread: 1 });
  expect(bob.owner.state).toMatchObject({ requests: 0, unread: 1 });
  const [message] = await bob.messages(ada);
  await bob.owner.markRead(ada.identity, message?.place ?? 0);
  await world.pass(100);
  expect(bob.owner.state.unread).toBe(0);
});

test("who is blocked is let go of, silently", async () => {
  const [ada, bob] = await acquainted();
  await bob.owner.block(ada.identity);
  const id = await ada.say(bob, "are you there?");
  await world.until(async () => (await ada.message(id))?.state !== "saved");
  await world.until(() => world.network.waiting === 0);
  await world.pass(5_000);
  expect(await bob.texts(ada)).toEqual(["hello", "hello back"]);
  await expect(bob.say(ada, "no")).rejects.toMatchObject({ code: "blocked" });
  await bob.owner.unblock(ada.identity);
  await delivered(ada, [await ada.say(bob, "and now?")]);
  await shows(bob, ada, ["and now?"]);
});

test("answers that are lost make nothing come twice", async () => {
  const [ada, bob] = await acquainted();
  for (const node of [world.one, world.two]) {
    node.faults.loseSendAnswers = 2;
    node.faults.loseAcks = 2;
    node.faults.doublePushes = true;
  }
  const ids: string[] = [];
  for (let count = 1; count <= 6; count += 1) ids.push(await ada.say(bob, `message ${count}`));
  await delivered(ada, ids);
  const expected = Array.from({ length: 6 }, (_, at) => `message ${at + 1}`);
  await shows(bob, ada, expected);
});

test("acks that are refused for a while are said again on the same connection", async () => {
  const [ada, bob] = await acquainted();
  await world.pass(3_000);
  const before = bob.owner.state.connection;
  world.one.faults.refuseAcks = 3;
  const id = await ada.say(bob, "one at a time");
  await shows(bob, ada, ["one at a time"]);
  await delivered(ada, [id]);
  await world.until(() => world.one.faults.refuseAcks === 0 && world.network.waiting === 0);
  expect(bob.owner.state.connection).toEqual(before);
  // Who waits with one when the page ends leaves nothing behind.
  world.one.faults.refuseAcks = Number.POSITIVE_INFINITY;
  await ada.say(bob, "and another");
  await world.pass(500);
});

test("what comes in another order stands in the order it was said", async () => {
  const [ada, bob] = await acquainted();
  await bob.close();
  const ids: string[] = [];
  for (let count = 1; count <= 5; count += 1) ids.push(await ada.say(bob, `message ${count}`));
  await world.until(async () => {
    const all = await Promise.all(ids.map((id) => ada.message(id)));
    return all.every((message) => message?.state === "stored");
  });
  world.one.faults.reversePushes = true;
  await bob.open();
  await delivered(ada, ids);
  const expected = Array.from({ length: 5 }, (_, at) => `message ${at + 1}`);
  await shows(bob, ada, expected);
});

test("offline: three messages, a reload, and all are delivered once", async () => {
  const [ada, bob] = await acquainted();
  world.one.kill();
  world.two.kill();
  await world.until(() => ada.owner.state.connection.at === "offline");
  const ids: string[] = [];
  for (const text of ["one", "two", "three"]) ids.push(await ada.say(bob, text));
  await ada.reload();
  await world.pass(5_000);
  expect(ada.owner.state.waiting).toBe(3);
  await shows(ada, bob, ["one", "two", "three"]);
  world.one.revive();
  await delivered(ada, ids);
  await shows(bob, ada, ["one", "two", "three"]);
  await world.pass(1_000);
  expect(ada.owner.state.waiting).toBe(0);
});

test("a page that ends in the middle loses nothing and says nothing twice", async () => {
  const [ada, bob] = await acquainted();
  const texts: string[] = [];
  const ids: string[] = [];
  for (let step = 0; step < 8; step += 1) {
    texts.push(`step ${step}`);
    ids.push(await ada.say(bob, `step ${step}`));
    // Ever later after it was sent: before it is encrypted, offered, stored, pushed, acked ...
    await world.skip(step * 3);
    await ada.crash();
    await world.skip(step * 5);
    await bob.crash();
  }
  await delivered(ada, ids);
  await shows(bob, ada, texts);
  expect((await bob.messages(ada)).every((message) => message.kind === "text")).toBe(true);
});

test("a command that is carried out twice sends once", async () => {
  const [ada, bob] = await acquainted();
  const id = "ab".repeat(16);
  await ada.owner.send(bob.identity, id, "only once", null);
  await ada.owner.send(bob.identity, id, "only once", null);
  await delivered(ada, [id]);
  await ada.owner.send(bob.identity, id, "only once", null);
  await world.pass(3_000);
  await shows(bob, ada, ["only once"]);
});

test("a long text goes in parts and is one message", async () => {
  const [ada, bob] = await acquainted();
  const text = "Здравствуйте! ".repeat(600);
  const id = await ada.say(bob, text);
  await delivered(ada, [id]);
  await shows(bob, ada, [text]);
  expect((await ada.queries.details(id)).parts).toBeGreaterThan(5);
  const tooLong = ada.say(bob, "x".repeat(70_000));
  await expect(tooLong).rejects.toMatchObject({ code: "too-large" });
});

test("replies, edits, reactions and deletions", async () => {
  const [ada, bob] = await acquainted();
  const question = await ada.say(bob, "Coffee at thre?");
  await delivered(ada, [question]);
  const answer = await bob.say(ada, "Yes!", question);
  await bob.owner.react(question, "☕");
  await delivered(bob, [answer]);
  expect(await ada.message(answer)).toMatchObject({
    replyTo: { id: question, mine: true, kind: "text", text: "Coffee at thre?" },
  });
  await world.until(async () => (await ada.message(question))?.reactions.length === 1);
  expect((await ada.message(question))?.reactions).toEqual([
    { emoji: "☕", mine: false, theirs: true },
  ]);
  await ada.owner.edit(question, "Coffee at three?");
  await world.until(async () => (await bob.message(question))?.edited === true);
  expect((await bob.message(question))?.text).toBe("Coffee at three?");
  // Only the author edits; a deletion wins over what comes after it.
  await expect(bob.owner.edit(question, "Tea?")).rejects.toMatchObject({ code: "not-yours" });
  await ada.owner.deleteMessage(question);
  await world.until(async () => (await bob.message(question))?.kind === "deleted");
  expect(await bob.message(question)).toMatchObject({ text: "", reactions: [] });
  await bob.owner.react(question, "👍");
  await world.pass(5_000);
  expect((await ada.message(question))?.reactions).toEqual([]);
  // Somebody else's is deleted here alone.
  await ada.owner.deleteMessage(answer);
  await world.pass(5_000);
  expect(await ada.message(answer)).toBeUndefined();
  expect((await bob.message(answer))?.text).toBe("Yes!");
});

test("an unsent message that is deleted is never sent", async () => {
  const [ada, bob] = await acquainted();
  world.one.kill();
  world.two.kill();
  await world.until(() => ada.owner.state.connection.at === "offline");
  const id = await ada.say(bob, "better not");
  await ada.owner.deleteMessage(id);
  world.one.revive();
  await delivered(ada, [await ada.say(bob, "good morning")]);
  await shows(bob, ada, ["good morning"]);
  expect(await ada.message(id)).toBeUndefined();
});

test("read receipts are sent by whoever wants to", async () => {
  const [ada, bob] = await acquainted();
  const quiet = await ada.say(bob, "read me");
  await delivered(ada, [quiet]);
  await bob.owner.markRead(ada.identity, Number.MAX_SAFE_INTEGER);
  await world.pass(10_000);
  expect((await ada.message(quiet))?.state).toBe("delivered");
  await bob.owner.setSettings({ readReceipts: true });
  const told = await ada.say(bob, "read me, too");
  const long = await ada.say(bob, "and all of this ".repeat(300));
  await delivered(ada, [told, long]);
  await bob.owner.markRead(ada.identity, Number.MAX_SAFE_INTEGER);
  await world.until(async () => (await ada.message(told))?.state === "read");
  await world.until(async () => (await ada.message(long))?.state === "read");
  expect((await ada.queries.details(told)).readMs).not.toBeNull();
});

test("the node in use is killed: another one takes over and says so", async () => {
  const [ada, bob] = await acquainted();
  for (const each of [ada, bob]) await each.owner.addNode("https://two.example");
  world.one.kill();
  const id = await ada.say(bob, "over the other node");
  await delivered(ada, [id]);
  await delivered(bob, [await bob.say(ada, "it works")]);
  await shows(bob, ada, ["over the other node", "it works"]);
  expect(ada.owner.state.connection).toMatchObject({
    at: "connected",
    node: "https://two.example",
  });
  expect(ada.events).toContainEqual({
    event: "failover",
    from: "https://one.example",
    to: "https://two.example",
  });
});

test("a refusal ends nothing: it is offered until somebody takes it", async () => {
  const [ada, bob] = await acquainted();
  world.one.faults.refuse = "full";
  world.two.faults.refuse = "full";
  const id = await ada.say(bob, "patience");
  await world.until(async () => (await ada.queries.details(id)).refusal === "full");
  expect((await ada.message(id))?.state).toBe("saved");
  world.one.faults.refuse = null;
  await delivered(ada, [id]);
  expect((await ada.queries.details(id)).refusal).toBe(null);
});

test("the only node there is says when it is to be asked again, and is not asked before", async () => {
  const [ada, bob] = await acquainted();
  await world.pass(3_000);
  world.one.faults.refuseSends = 2;
  const id = await ada.say(bob, "when you have time");
  await world.pass(1_900);
  expect(world.one.faults.refuseSends).toBe(1);
  await world.pass(2_000);
  expect(world.one.faults.refuseSends).toBe(0);
  await delivered(ada, [id]);
});

test("what nobody confirmed expires, and Retry sends it again", async () => {
  const [ada, bob] = await acquainted();
  await bob.close();
  const id = await ada.say(bob, "are you well?");
  await world.until(async () => (await ada.message(id))?.state === "stored");
  await ada.close();
  await world.skip(15 * 24 * 3_600_000);
  await ada.open();
  await world.until(async () => (await ada.message(id))?.state === "failed");
  world.network.mailboxes.clear();
  await bob.open();
  await ada.owner.retry(id);
  await delivered(ada, [id]);
  await shows(bob, ada, ["are you well?"]);
});
