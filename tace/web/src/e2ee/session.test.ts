import { describe, expect, test } from "vitest";
import { type Bytes, compare, concat, utf8 } from "../wire/bytes";
import { signCertificate } from "./device";
import { parseInner, ROOM_IN_SESSION, ROOM_WITH_HANDSHAKE } from "./inner";
import { Expired } from "./pqxdh";
import {
  activeSession,
  CONSUMED_WINDOW,
  MAX_ENDED,
  MAX_SESSIONS,
  NoSession,
  needsStart,
  newPair,
  receive,
  room,
  start,
} from "./session";
import { DAY, NOW, Person } from "./testing/person";
import { changed, rejection } from "./testing/vectors";

async function two(): Promise<[Person, Person]> {
  return [await Person.make(), await Person.make()];
}

/** Sends, delivers, and looks that it opens. */
async function says(from: Person, to: Person, text: string): Promise<void> {
  await opens(to, from, await from.send(to, utf8(text)), text);
}

async function opens(to: Person, from: Person, inner: Bytes, text: string) {
  const outcome = await to.receive(from, inner);
  if (outcome.outcome !== "opened") throw new Error(JSON.stringify(outcome));
  expect(outcome.content).toEqual(utf8(text));
  return outcome;
}

async function met(): Promise<[Person, Person]> {
  const [ann, ben] = await two();
  await ann.start(ben);
  await says(ann, ben, "hello");
  await says(ben, ann, "yes?");
  return [ann, ben];
}

function sending(person: Person, other: Person): Bytes {
  const active = activeSession(person.pairWith(other));
  if (!active) throw new Error("no session sends");
  return active.id;
}

function unreadable(reason: string) {
  return { outcome: "undecryptable", reason };
}

describe("one session", () => {
  test("the handshake rides until the first answer, and then there is more room", async () => {
    const [ann, ben] = await two();
    await ann.start(ben);
    expect(room(ann.pairWith(ben))).toBe(ROOM_WITH_HANDSHAKE);
    const messages: Bytes[] = [];
    for (const text of ["0", "1", "2"]) messages.push(await ann.send(ben, utf8(text)));
    expect((await opens(ben, ann, messages[2]!, "2")).started).toBe(true);
    expect((await opens(ben, ann, messages[0]!, "0")).started).toBe(false);
    const answer = await ben.send(ann, utf8("answer"));
    expect((await parseInner(answer)).handshake).toBeNull();
    await opens(ann, ben, answer, "answer");
    expect(room(ann.pairWith(ben))).toBe(ROOM_IN_SESSION);
    expect((await parseInner(await ann.send(ben, utf8("next")))).handshake).toBeNull();
    await opens(ben, ann, messages[1]!, "1");
  });

  test("the room is good to the last byte, and not beyond", async () => {
    const [ann, ben] = await two();
    await ann.start(ben);
    for (const expected of [ROOM_WITH_HANDSHAKE, ROOM_IN_SESSION]) {
      expect(room(ann.pairWith(ben))).toBe(expected);
      const over = await rejection(ann.send(ben, new Uint8Array(expected + 1)));
      expect(over).toBeInstanceOf(RangeError);
      await says(ann, ben, "x".repeat(expected));
      await says(ben, ann, "answer");
    }
  });

  test("what opened before is a duplicate: first, in order, skipped, of a former chain", async () => {
    const [ann, ben] = await two();
    await ann.start(ben);
    const first = await ann.send(ben, utf8("first"));
    await opens(ben, ann, first, "first");
    await says(ben, ann, "answer");
    const [skipped, inOrder] = [await ann.send(ben, utf8("1")), await ann.send(ben, utf8("2"))];
    await opens(ben, ann, inOrder, "2");
    await opens(ben, ann, skipped, "1");
    await says(ben, ann, "step");
    await says(ann, ben, "step");
    const before = ben.pairWith(ann);
    for (const inner of [first, skipped, inOrder]) {
      expect(await ben.receive(ann, inner)).toEqual({ outcome: "duplicate" });
    }
    expect(ben.pairWith(ann)).toBe(before);
  });

  test("the last 512 are remembered; an older one still does not open", async () => {
    const [ann, ben] = await met();
    const old = await ann.send(ben, utf8("old"));
    await opens(ben, ann, old, "old");
    for (let n = 1; n < CONSUMED_WINDOW; n += 1) await says(ann, ben, "x");
    expect(await ben.receive(ann, old)).toEqual({ outcome: "duplicate" });
    await says(ann, ben, "x");
    expect(await ben.receive(ann, old)).toEqual(unreadable("key-gone"));
    expect(ben.pairWith(ann).consumed).toHaveLength(CONSUMED_WINDOW);
  });

  test("a new text under a used place is no duplicate: it cannot be read, and is said", async () => {
    const [ann, ben] = await met();
    const saved = ann.pairWith(ben);
    await says(ann, ben, "one");
    ann.store(saved);
    const inner = await ann.send(ben, utf8("another"));
    expect(await ben.receive(ann, inner)).toEqual(unreadable("key-gone"));
  });

  test("whatever is changed, nothing opens and nothing changes", async () => {
    const [ann, ben] = await two();
    await ann.start(ben);
    const first = await ann.send(ben, utf8("first"));
    for (const at of [1, 2, 40, 70, 110, 170, 175, 205, 300, 1294, 1310, 1367, 3454]) {
      const inner = await parseInner(changed(first, at));
      const pair = newPair(inner.identity, inner.device);
      const outcome = await receive(pair, ben.own, ben.prekeys, inner, NOW);
      expect(outcome.outcome, `byte ${at}`).toBe("undecryptable");
    }
    await opens(ben, ann, first, "first");
    await says(ben, ann, "answer");
    const second = await ann.send(ben, utf8("second"));
    const before = ben.pairWith(ann);
    for (const at of [66, 81, 82, 138, 139, 3454]) {
      const outcome = await ben.receive(ann, changed(second, at));
      expect(outcome.outcome, `byte ${at}`).toBe("undecryptable");
      expect(ben.pairWith(ann)).toBe(before);
    }
    await opens(ben, ann, second, "second");
  });

  test("nobody writes in another's name", async () => {
    const [ann, ben] = await met();
    const eve = await Person.make();
    const toBen = await Person.make();
    await eve.start(toBen);
    const first = await eve.send(toBen, utf8("from eve"));
    const claimed = concat(first.slice(0, 2), ann.own.certificate.encoded, first.slice(169));
    const stranger = newPair(ann.own.certificate.identity, ann.own.keys.id);
    const inner = await parseInner(claimed);
    const outcome = await receive(stranger, toBen.own, toBen.prekeys, inner, NOW);
    expect(outcome).toEqual(unreadable("tampered"));
    await opens(toBen, eve, first, "from eve");
    await says(toBen, eve, "answer");
    const second = await eve.send(toBen, utf8("from eve"));
    const claim = concat(Uint8Array.of(1), ann.own.certificate.identity, ann.own.keys.id);
    const forged = concat(claim, second.slice(66));
    expect(await ben.receive(ann, forged)).toEqual(unreadable("no-session"));
  });

  test("a message does not open where it came from, nor at a third device", async () => {
    const [ann, ben] = await met();
    const inner = await ann.send(ben, utf8("for ben"));
    const claim = concat(Uint8Array.of(1), ben.own.certificate.identity, ben.own.keys.id);
    const swapped = concat(claim, inner.slice(66));
    expect(await ann.receive(ben, swapped)).toEqual(unreadable("no-session"));
    const self = newPair(ann.own.certificate.identity, ann.own.keys.id);
    const own = await receive(self, ann.own, ann.prekeys, await parseInner(inner), NOW);
    expect(own).toEqual(unreadable("no-session"));
    const [cid, dan, eve] = [await Person.make(), await Person.make(), await Person.make()];
    await cid.start(dan);
    const first = await cid.send(dan, utf8("for dan"));
    const cids = newPair(cid.record.identity, cid.record.device);
    const back = await receive(cids, cid.own, cid.prekeys, await parseInner(first), NOW);
    expect(back).toEqual(unreadable("no-session"));
    expect(await eve.receive(cid, first)).toEqual(unreadable("tampered"));
  });

  test("a prekey that is gone is said; a session that stands needs none", async () => {
    const [ann, ben] = await two();
    await ann.start(ben);
    const [first, second] = [await ann.send(ben, utf8("1")), await ann.send(ben, utf8("2"))];
    const { prekeys } = ben;
    ben.prekeys = new Map();
    expect(await ben.receive(ann, first)).toEqual(unreadable("unknown-prekey"));
    ben.prekeys = prekeys;
    await opens(ben, ann, first, "1");
    ben.prekeys = new Map();
    await opens(ben, ann, second, "2");
  });

  test("a start that took more than 60 days is not accepted", async () => {
    const [ann, ben] = await two();
    await ann.start(ben);
    const inner = await ann.send(ben, utf8("first"));
    ben.now = NOW + 61 * DAY;
    expect(await ben.receive(ann, inner)).toEqual(unreadable("bad-handshake"));
  });
});

describe("several sessions", () => {
  test("both start at once: nothing is lost, and the lower id goes on", async () => {
    for (let round = 0; round < 4; round += 1) {
      const [ann, ben] = await two();
      await ann.start(ben);
      await ben.start(ann);
      const [anns, bens] = [sending(ann, ben), sending(ben, ann)];
      const lower = compare(anns, bens) < 0 ? anns : bens;
      const [fromAnn, fromBen] = [await ann.send(ben, utf8("a")), await ben.send(ann, utf8("b"))];
      await opens(ann, ben, fromBen, "b");
      await opens(ben, ann, fromAnn, "a");
      expect([sending(ann, ben), sending(ben, ann)]).toEqual([lower, lower]);
      await says(ben, ann, "2");
      await says(ann, ben, "3");
      expect([sending(ann, ben), sending(ben, ann)]).toEqual([lower, lower]);
    }
  });

  test("at once, one of them fresh: the fresh one goes on, whatever the ids", async () => {
    for (let round = 0; round < 4; round += 1) {
      const [ann, ben] = await two();
      await ann.start(ben);
      await ben.start(ann, true);
      const fresh = sending(ben, ann);
      const [fromAnn, fromBen] = [await ann.send(ben, utf8("a")), await ben.send(ann, utf8("b"))];
      await opens(ann, ben, fromBen, "b");
      expect(sending(ann, ben)).toEqual(fresh);
      await opens(ben, ann, fromAnn, "a");
      expect(sending(ben, ann)).toEqual(fresh);
    }
  });

  test("a fresh start replaces the others; what is late there still opens", async () => {
    const [ann, ben] = await met();
    const [lateBen, lateAnn] = [await ben.send(ann, utf8("b")), await ann.send(ben, utf8("a"))];
    await ann.start(ben, true);
    const fresh = sending(ann, ben);
    const inner = await ann.send(ben, utf8("fresh"));
    expect((await opens(ben, ann, inner, "fresh")).fresh).toBe(true);
    await opens(ann, ben, lateBen, "b");
    await opens(ben, ann, lateAnn, "a");
    expect([sending(ann, ben), sending(ben, ann)]).toEqual([fresh, fresh]);
  });

  test("an older session that is heard again is used again", async () => {
    const [ann, ben] = await met();
    const older = sending(ann, ben);
    const late = await ben.send(ann, utf8("late"));
    await ann.start(ben);
    expect(sending(ann, ben)).not.toEqual(older);
    await opens(ann, ben, late, "late");
    expect(sending(ann, ben)).toEqual(older);
  });

  test("there are three at most, and the last 64 that ended start nothing again", async () => {
    const [ann, ben] = await two();
    await ann.start(ben);
    const first = await ann.send(ben, utf8("first"));
    const unopened = await ann.send(ben, utf8("never opened"));
    await opens(ben, ann, first, "first");
    for (let n = 0; n < MAX_SESSIONS; n += 1) {
      await ann.start(ben);
      await says(ann, ben, "next");
    }
    expect(ben.pairWith(ann).sessions).toHaveLength(MAX_SESSIONS);
    expect(ann.pairWith(ben).sessions).toHaveLength(MAX_SESSIONS);
    expect(await ben.receive(ann, first)).toEqual({ outcome: "duplicate" });
    expect(await ben.receive(ann, unopened)).toEqual(unreadable("ended"));
    for (let n = 0; n < MAX_ENDED; n += 1) await ann.start(ben);
    expect(ann.pairWith(ben).ended).toHaveLength(MAX_ENDED);
  });
});

describe("starting and storing", () => {
  test("a start is needed without a session, and when nobody answered until it was over", async () => {
    const [ann, ben] = await two();
    expect(needsStart(ann.pairWith(ben), NOW)).toBe(true);
    expect(await rejection(ann.send(ben, utf8("x")))).toBeInstanceOf(NoSession);
    await ann.start(ben);
    const end = ben.record.record.expiresHours * 3600;
    expect(needsStart(ann.pairWith(ben), end - 1)).toBe(false);
    expect(needsStart(ann.pairWith(ben), end)).toBe(true);
    await says(ann, ben, "x");
    await says(ben, ann, "answer");
    expect(needsStart(ann.pairWith(ben), end)).toBe(false);
  });

  test("with the pair's own device only, never with itself, never on a record that is over", async () => {
    const [ann, ben] = await two();
    const other = start(ann.pairWith(ben), ann.own, ann.record, { now: NOW });
    expect(await rejection(other)).toBeInstanceOf(RangeError);
    const self = newPair(ann.own.certificate.identity, ann.own.keys.id);
    const itself = start(self, ann.own, ann.record, { now: NOW });
    expect(await rejection(itself)).toBeInstanceOf(RangeError);
    const over = start(ann.pairWith(ben), ann.own, ben.record, { now: NOW + 31 * DAY });
    expect(await rejection(over)).toBeInstanceOf(Expired);
  });

  test("a message handed to another pair is the caller's mistake", async () => {
    const [ann, ben] = await met();
    const inner = await parseInner(await ann.send(ben, utf8("x")));
    const { record } = await Person.make();
    const wrong = newPair(record.identity, record.device);
    const mistake = await rejection(receive(wrong, ben.own, ben.prekeys, inner, NOW));
    expect(mistake).toBeInstanceOf(RangeError);
  });

  test("states are never changed, and go on from a copy, whenever it was made", async () => {
    const [ann, ben] = await two();
    await ann.start(ben);
    const first = await ann.send(ben, utf8("0"));
    await opens(ben, ann, first, "0");
    for (let round = 0; round < 3; round += 1) {
      const before = ben.pairWith(ann);
      const copy = structuredClone(before);
      await says(ben, ann, "a");
      await says(ann, ben, "b");
      expect(before).toEqual(copy);
      for (const [one, other] of [[ann, ben] as const, [ben, ann] as const]) {
        one.store(structuredClone(one.pairWith(other)));
      }
    }
    await says(ann, ben, "last");
  });

  test("the own certificate decides as well how long a start may wait", async () => {
    const [ann, ben] = await two();
    const expiresHours = Math.floor(NOW / 3600) + 1;
    const certificate = await signCertificate(ann.identity, ann.keys, expiresHours);
    const own = { ...ann.own, certificate };
    const pair = await start(ann.pairWith(ben), own, ben.record, { now: NOW });
    expect(pair.sessions[0]?.unansweredUntilHours).toBe(expiresHours);
  });
});
