/** What is stored stays in the outbox until its recipient confirms it, and is offered once more. */

import { afterEach, beforeEach, expect, test } from "vitest";
import { encodeContents, Kind } from "../e2ee/content";
import { addOutgoing } from "../store/outbox";
import type { OutgoingRow } from "../store/rows";
import { ELSEWHERE, HERE, type Person, World } from "./testing/engines";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let world: World;
let ada: Person;
let bob: Person;

/** Ada and Bob have spoken, she knows two nodes; Bob is away. */
beforeEach(async () => {
  world = new World();
  [ada, bob] = await world.pair();
  await ada.owner.addNode(ELSEWHERE);
  const ids = [await ada.say(bob, "hello"), await bob.say(ada, "hello back")];
  await world.until(async () => {
    const said = [await ada.message(ids[0] ?? ""), await bob.message(ids[1] ?? "")];
    return said.every((message) => message?.state === "delivered");
  });
  await bob.close();
});

afterEach(async () => {
  await world.close();
});

/** Ada writes, and a node says that it is stored; the message's id. */
async function stored(text = "one"): Promise<string> {
  const id = await ada.say(bob, text);
  await world.until(async () => (await ada.message(id))?.state === "stored");
  world.network.offers.length = 0;
  return id;
}

async function parcels() {
  return await ada.stored.reader.all("parcel");
}

/** Until something is to be offered next, in milliseconds. */
async function untilDue(): Promise<number> {
  const times = (await parcels()).map((parcel) => parcel.nextMs ?? Number.POSITIVE_INFINITY);
  return Math.min(...times) - world.clock.now();
}

/** Lets time pass until so many more offers were made. */
async function offered(count: number): Promise<void> {
  const { offers } = world.network;
  const wanted = offers.length + count;
  const end = world.clock.now() + DAY_MS;
  while (offers.length < wanted && world.clock.now() < end) await passing(1000);
  expect(offers.length).toBe(wanted);
  await world.pass(500);
}

/** Lets time pass in larger steps. */
async function passing(milliseconds: number): Promise<void> {
  const end = world.clock.now() + milliseconds;
  while (world.clock.now() < end) {
    await world.skip(Math.min(1000, end - world.clock.now()));
    await world.pass(0);
    await world.until(() => true);
  }
}

test("all replicas are lost: it is offered again, and shown once", async () => {
  const id = await stored();
  for (let lost = 0; lost < 2; lost += 1) {
    world.network.mailboxes.clear();
    await offered(1);
  }
  expect((await ada.message(id))?.state).toBe("stored");
  await bob.open();
  await world.until(async () => (await ada.message(id))?.state === "delivered");
  expect((await bob.texts(ada)).filter((text) => text === "one")).toEqual(["one"]);
  // One envelope, however often it was offered.
  expect(new Set(world.network.offers.slice(0, 2).map((offer) => offer.id)).size).toBe(1);
});

test("the receipt ends it", async () => {
  const id = await stored();
  await bob.open();
  await world.until(async () => (await ada.message(id))?.state === "delivered");
  await world.until(async () => (await ada.stored.reader.all("outgoing")).length === 0);
  expect(await parcels()).toEqual([]);
  world.network.offers.length = 0;
  await passing(10 * MINUTE_MS);
  expect(world.network.offers).toEqual([]);
});

test("ever more seldom, at another node each time", async () => {
  await stored();
  const [before] = await parcels();
  const waits: number[] = [await untilDue()];
  for (let count = 0; count < 4; count += 1) {
    await offered(1);
    waits.push((await untilDue()) + 500);
  }
  for (const [at, wait] of waits.entries()) {
    const about = MINUTE_MS * 2 ** at;
    expect(wait, `wait ${at}`).toBeGreaterThan(0.7 * about);
    expect(wait, `wait ${at}`).toBeLessThanOrEqual(1.26 * about);
  }
  const origins = world.network.offers.map((offer) => offer.origin);
  expect(new Set(origins)).toEqual(new Set([HERE, ELSEWHERE]));
  for (const [at, origin] of origins.slice(1).entries()) expect(origin).not.toBe(origins[at]);
  const [after] = await parcels();
  expect(after?.envelope).toEqual(before?.envelope);
});

test("a node that says stored and keeps nothing is not believed", async () => {
  world.one.faults.lies = true;
  world.two.kill();
  const id = await stored();
  expect(world.network.waiting).toBe(0);
  world.two.revive();
  await offered(1);
  expect(world.network.offers.at(-1)?.origin).toBe(ELSEWHERE);
  await bob.open();
  await world.until(async () => (await ada.message(id))?.state === "delivered");
});

test("where the others are gone the same node has to do", async () => {
  world.two.kill();
  await stored();
  world.network.mailboxes.clear();
  await offered(2);
  expect(new Set(world.network.offers.map((offer) => offer.origin))).toEqual(new Set([HERE]));
  expect(world.network.waiting).toBe(1);
});

test("a refusal takes nothing back, and is followed by another node", async () => {
  const id = await stored();
  world.one.faults.refuse = "not-stored";
  world.two.faults.refuse = "not-stored";
  await offered(3);
  expect((await ada.message(id))?.state).toBe("stored");
  const origins = world.network.offers.map((offer) => offer.origin);
  for (const [at, origin] of origins.slice(1).entries()) expect(origin).not.toBe(origins[at]);
  expect((await parcels())[0]).toMatchObject({ state: "stored", attempts: 4 });
});

test("a reload goes on with the schedule", async () => {
  await stored();
  await offered(1);
  const [before] = await parcels();
  const wait = await untilDue();
  await ada.reload();
  expect(await parcels()).toEqual([before]);
  await passing(wait - 2000);
  expect(world.network.offers).toHaveLength(1);
  await passing(4000);
  expect(world.network.offers).toHaveLength(2);
  expect((await parcels())[0]?.attempts).toBe(3);
});

test("after an absence of six hours everything is offered once", async () => {
  await stored();
  await stored("two");
  const later = world.clock.now() + 3 * DAY_MS;
  await ada.stored.change(async (change) => {
    for (const row of await change.all("parcel")) change.put("parcel", { ...row, nextMs: later });
  });
  for (const [absence, count] of [
    [5 * HOUR_MS, 0],
    [6 * HOUR_MS, 2],
    [HOUR_MS, 0],
  ] as const) {
    world.network.offers.length = 0;
    await ada.close();
    await world.skip(absence);
    await ada.open();
    await world.pass(10_000);
    expect(world.network.offers, `after ${absence} ms`).toHaveLength(count);
    await ada.stored.change(async (change) => {
      for (const row of await change.all("parcel")) change.put("parcel", { ...row, nextMs: later });
    });
  }
});

test("the expiry ends it", async () => {
  const id = await stored();
  await ada.close();
  await world.skip(15 * DAY_MS);
  await ada.open();
  await world.until(async () => (await ada.message(id))?.state === "failed");
  expect(await parcels()).toEqual([]);
  await passing(5 * MINUTE_MS);
  expect(world.network.offers).toEqual([]);
});

test("encrypted anew and refused: what was said to be stored is not taken back", async () => {
  const id = await stored();
  const [parcel] = await parcels();
  world.network.removed.add(parcel?.envelopeId ?? "");
  world.network.mailboxes.clear();
  world.one.faults.refuse = "not-stored";
  world.two.faults.refuse = "not-stored";
  const states = new Set<string | undefined>();
  await offered(1);
  for (let second = 0; second < 20; second += 1) {
    await world.pass(1000);
    states.add((await ada.message(id))?.state);
  }
  expect((await parcels())[0]).toMatchObject({ state: "waiting" });
  expect([...states]).toEqual(["stored"]);
});

function toBob(more: Partial<OutgoingRow> = {}): Omit<OutgoingRow, "seq" | "addressed"> {
  const id = new Uint8Array(16).fill(9);
  const body = { kind: Kind.SESSION_REQUEST, unread: [] } as const;
  return {
    id: "09".repeat(16),
    peer: bob.identity,
    device: null,
    message: null,
    content: encodeContents([{ id, counter: 0, sentMs: 0, replyTo: null, body }]),
    writtenMs: world.clock.now(),
    expiresHours: Math.floor(world.clock.now() / HOUR_MS) + 336,
    upload: null,
    ...more,
  };
}

test("a session request that was opened has done its work, whatever became of its receipt", async () => {
  await ada.stored.change((change) => addOutgoing(change, toBob()));
  await ada.reload();
  await world.until(async () => (await parcels())[0]?.state === "stored");
  await ada.close();
  await bob.open();
  await world.until(() => world.network.acked.size > 2);
  await world.pass(5000);
  await bob.close();
  // The receipt is lost.
  world.network.mailboxes.clear();
  await ada.open();
  expect(await ada.stored.reader.all("outgoing")).toHaveLength(1);
  await passing(2 * MINUTE_MS);
  expect(await ada.stored.reader.all("outgoing")).toEqual([]);
});

test("a text that was opened is kept until the receipt, and not offered any more", async () => {
  const id = await stored();
  await ada.close();
  await bob.open();
  await world.until(async () => (await bob.texts(ada)).includes("one"));
  await world.pass(5000);
  await bob.close();
  world.network.mailboxes.clear();
  await ada.open();
  await passing(2 * MINUTE_MS);
  expect((await ada.message(id))?.state).toBe("delivered");
  expect(await ada.stored.reader.all("outgoing")).toHaveLength(1);
  expect((await parcels())[0]).toMatchObject({ state: "acked", nextMs: null });
});

test("a full outbox says so, and takes more when something was confirmed", async () => {
  const id = await stored();
  const limit = 8192;
  await ada.stored.change(async (change) => {
    for (let seq = 1; seq < limit; seq += 1) {
      change.put("outgoing", { ...toBob(), id: `full ${seq}`, seq: 1_000_000 + seq, addressed: 1 });
    }
  });
  await expect(ada.say(bob, "two")).rejects.toMatchObject({ code: "outbox-full" });
  expect((await ada.texts(bob)).includes("two")).toBe(false);
  await bob.open();
  await world.until(async () => (await ada.message(id))?.state === "delivered");
  await world.until(async () => (await ada.stored.reader.keys("outgoing")).length < limit);
  await ada.say(bob, "three");
}, 30_000);

test("what is new goes first", async () => {
  for (let count = 0; count < 3; count += 1) await stored(`old ${count}`);
  const old = new Set((await parcels()).map((parcel) => parcel.envelopeId));
  await ada.stored.change(async (change) => {
    for (const row of await change.all("parcel")) change.put("parcel", { ...row, nextMs: 0 });
  });
  await ada.say(bob, "new");
  await world.until(() => world.network.offers.length >= 4);
  const order = world.network.offers.map((offer) => old.has(offer.id));
  expect(order).toEqual([false, true, true, true]);
});

test("a node that breaks every time is left, and the one in use has to do", async () => {
  await stored();
  const [before] = await parcels();
  const other = before?.asked === "01".repeat(32) ? world.two : world.one;
  other.faults.loseSends = Number.POSITIVE_INFINITY;
  world.network.mailboxes.clear();
  await offered(1);
  expect(world.network.offers[0]?.origin).not.toBe(other.origin);
  expect(world.network.waiting).toBe(1);
});
