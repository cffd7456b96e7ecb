/**
 * Two devices over a network that does everything a network can, and disks that go back in time,
 * against a model that knows what each delivery has to give.
 */

import * as fc from "fast-check";
import { expect, test, vi } from "vitest";
import { type Bytes, equal, hex, utf8 } from "../wire/bytes";
import { Malformed } from "../wire/errors";
import { parseInner } from "./inner";
import {
  activeSession,
  CONSUMED_WINDOW,
  MAX_ENDED,
  MAX_SESSIONS,
  needsStart,
  type Opened,
  type Pair,
  receive,
} from "./session";
import { Person } from "./testing/person";
import { changed } from "./testing/vectors";

const MAX_IN_FLIGHT = 40;

/** Key and nonce of everything that was sealed; no pair may come twice. */
const sealed = vi.hoisted(() => ({ used: new Set<string>(), twice: 0 }));
vi.mock("./crypto", async (original) => {
  const real = await original<typeof import("./crypto")>();
  const aeadSeal: typeof real.aeadSeal = async (key, nonce, plaintext, associatedData) => {
    const pair = `${key}|${nonce}`;
    if (sealed.used.has(pair)) sealed.twice += 1;
    sealed.used.add(pair);
    return await real.aeadSeal(key, nonce, plaintext, associatedData);
  };
  return { ...real, aeadSeal };
});

type Side = 0 | 1;

/** What happens; numbers choose among what there is, whatever there is. */
type Action =
  | { readonly do: "start"; readonly side: Side; readonly fresh: boolean }
  | { readonly do: "send"; readonly side: Side; readonly count: number }
  | { readonly do: "deliver" | "lose" | "deliver again"; readonly which: number }
  | { readonly do: "deliver all" }
  | { readonly do: "tamper"; readonly which: number; readonly at: number; readonly bit: number }
  | { readonly do: "restart" | "save" | "roll back"; readonly side: Side };

const side = fc.constantFrom<Side>(0, 1);
const which = fc.nat(1000);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ do: fc.constant("start"), side, fresh: fc.boolean() }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant("send"), side, count: fc.integer({ min: 1, max: 5 }) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("deliver"), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("deliver all") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lose"), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("deliver again"), which }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("tamper"),
      which,
      at: fc.nat(3454),
      bit: fc.nat(7),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom("restart", "save", "roll back"), side }),
  },
);

/** A message on its way, and what the model has to know of it. */
interface Sent {
  readonly sender: Side;
  readonly inner: Bytes;
  readonly text: Bytes;
  readonly session: string;
}

/** A copy of one side's disk: its sessions, and what it had opened by then. */
interface Saved {
  readonly pair: Pair;
  readonly opened: ReadonlySet<string>;
}

/**
 * What the model says of a delivery:
 *
 * - opened before, as far as this disk knows: a duplicate;
 * - of a session that no disk went back under: opens if the recipient has the session or the
 *   message carries its start, else cannot be read;
 * - of a session that a disk went back under: opens rightly or cannot be read.
 */
class Conversation {
  readonly met = { opened: 0, duplicate: 0, undecryptable: 0, tampered: 0 };
  private readonly people: readonly [Person, Person];
  private flight: Sent[] = [];
  private readonly passed: Sent[] = [];
  private readonly opened: [ReadonlySet<string>, ReadonlySet<string>] = [new Set(), new Set()];
  private readonly saved: [Saved | null, Saved | null] = [null, null];
  private readonly rolledBack = new Set<string>();
  private texts = 0;

  constructor(people: readonly [Person, Person]) {
    this.people = people;
    for (const person of people) person.store(undefined);
  }

  async play(step: Action): Promise<void> {
    switch (step.do) {
      case "start":
        await this.people[step.side].start(this.other(step.side), step.fresh);
        break;
      case "send":
        await this.send(step.side, step.count);
        break;
      case "deliver":
        for (const sent of this.take(step.which)) await this.deliver(sent);
        break;
      case "deliver all":
        for (const sent of this.flight.splice(0)) await this.deliver(sent);
        break;
      case "lose":
        this.take(step.which);
        break;
      case "deliver again": {
        const sent = this.passed[step.which % this.passed.length];
        if (sent) await this.arrive(sent);
        break;
      }
      case "tamper":
        await this.tamper(step.which, step.at, step.bit);
        break;
      case "restart":
        this.people[step.side].store(structuredClone(this.pair(step.side)));
        break;
      case "save":
        this.saved[step.side] = {
          pair: structuredClone(this.pair(step.side)),
          opened: this.opened[step.side],
        };
        break;
      case "roll back":
        this.rollBack(step.side);
        break;
    }
    for (const each of [0, 1] as const) this.checkBounds(this.pair(each));
  }

  /** Nothing more is lost: in the end both send in one session, and what they say is read. */
  async converge(): Promise<void> {
    await this.play({ do: "deliver all" });
    // What a disk forgot is repaired as clients do: by a fresh start.
    await this.people[0].start(this.people[1], true);
    for (const from of [0, 1, 0, 1] as const) {
      await this.send(from, 1);
      const [sent] = this.flight.splice(0);
      expect(await this.arrive(sent!)).toBe("opened");
    }
    const [one, other] = [activeSession(this.pair(0)), activeSession(this.pair(1))];
    expect(one?.id).toEqual(other?.id);
  }

  private other(of: Side): Person {
    return this.people[of === 0 ? 1 : 0];
  }

  private pair(of: Side): Pair {
    return this.people[of].pairWith(this.other(of));
  }

  private async send(from: Side, count: number): Promise<void> {
    const [person, other] = [this.people[from], this.other(from)];
    if (needsStart(this.pair(from), person.now)) await person.start(other);
    for (let n = 0; n < count && this.flight.length < MAX_IN_FLIGHT; n += 1) {
      this.texts += 1;
      const text = utf8(`text ${this.texts}`);
      const session = hex(activeSession(this.pair(from))!.id);
      const inner = await person.send(other, text);
      this.flight.push({ sender: from, inner, text, session });
    }
  }

  /** That one of those in flight, if there is any. */
  private take(chosen: number): Sent[] {
    return this.flight.length ? this.flight.splice(chosen % this.flight.length, 1) : [];
  }

  private async deliver(sent: Sent): Promise<void> {
    this.passed.push(sent);
    await this.arrive(sent);
  }

  private async arrive(sent: Sent): Promise<string> {
    const to: Side = sent.sender === 0 ? 1 : 0;
    const name = hex(sent.inner);
    const before = this.pair(to);
    const copy = structuredClone(before);
    const expected = await this.expectedOf(sent, before);
    const outcome = await this.people[to].receive(this.people[sent.sender], sent.inner);
    this.met[outcome.outcome] += 1;
    expect(expected).toContain(outcome.outcome);
    expect(before).toEqual(copy);
    if (outcome.outcome === "opened") {
      expect(outcome.content).toEqual(sent.text);
      expect(hex(outcome.session)).toBe(sent.session);
      this.opened[to] = new Set([...this.opened[to], name]);
      await this.forgotTheKey(to, sent, outcome);
    } else {
      expect(this.pair(to)).toEqual(copy);
    }
    return outcome.outcome;
  }

  private async expectedOf(sent: Sent, pair: Pair): Promise<readonly string[]> {
    const to: Side = sent.sender === 0 ? 1 : 0;
    if (this.opened[to].has(hex(sent.inner))) return ["duplicate"];
    if (this.rolledBack.has(sent.session)) return ["opened", "undecryptable"];
    const stands = pair.sessions.some(({ id }) => hex(id) === sent.session);
    const ended = pair.ended.some((id) => hex(id) === sent.session);
    const begins = (await parseInner(sent.inner)).handshake !== null && !ended;
    return stands || begins ? ["opened"] : ["undecryptable"];
  }

  /** It does not open again even where the memory of duplicates is lost. */
  private async forgotTheKey(to: Side, sent: Sent, { pair }: Opened): Promise<void> {
    const { own, prekeys, now } = this.people[to];
    const inner = await parseInner(sent.inner);
    const again = await receive({ ...pair, consumed: [] }, own, prekeys, inner, now);
    expect(again.outcome).toBe("undecryptable");
  }

  /** Nothing opens, and nothing changes. */
  private async tamper(chosen: number, at: number, bit: number): Promise<void> {
    const sent = this.flight[chosen % this.flight.length];
    if (!sent) return;
    const to: Side = sent.sender === 0 ? 1 : 0;
    const before = structuredClone(this.pair(to));
    try {
      const inner = changed(sent.inner, at, bit);
      const outcome = await this.people[to].receive(this.people[sent.sender], inner);
      expect(outcome.outcome).toBe("undecryptable");
    } catch (error) {
      // Of no known type; or it claims to come from somebody else, whose pair this is not.
      if (!(error instanceof Malformed || error instanceof RangeError)) throw error;
    }
    this.met.tampered += 1;
    expect(this.pair(to)).toEqual(before);
  }

  private rollBack(of: Side): void {
    const saved = this.saved[of];
    if (!saved) return;
    for (const { sessions, ended } of [this.pair(of), saved.pair]) {
      for (const id of [...sessions.map((session) => session.id), ...ended]) {
        this.rolledBack.add(hex(id));
      }
    }
    this.people[of].store(structuredClone(saved.pair));
    this.opened[of] = saved.opened;
  }

  private checkBounds(pair: Pair): void {
    expect(pair.sessions.length).toBeLessThanOrEqual(MAX_SESSIONS);
    expect(pair.ended.length).toBeLessThanOrEqual(MAX_ENDED);
    expect(pair.consumed.length).toBeLessThanOrEqual(CONSUMED_WINDOW);
    expect(pair.sessions.length === 0 || activeSession(pair) !== null).toBe(true);
    const ids = pair.sessions.map(({ id }) => id);
    expect(ids.every((id, at) => !ids.slice(0, at).some((earlier) => equal(earlier, id)))).toBe(
      true,
    );
  }
}

test("lost, reordered, repeated, changed, restarted, rolled back, started at once", {
  timeout: 120_000,
}, async () => {
  const people = [await Person.make(), await Person.make()] as const;
  const met = { opened: 0, duplicate: 0, undecryptable: 0, tampered: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { minLength: 20, maxLength: 80, size: "max" }),
      async (actions) => {
        const conversation = new Conversation(people);
        for (const step of actions) await conversation.play(step);
        await conversation.converge();
        for (const [name, count] of Object.entries(conversation.met)) {
          met[name as keyof typeof met] += count;
        }
      },
    ),
    { seed: 20, numRuns: 40 },
  );
  expect(sealed.used.size).toBeGreaterThan(1000);
  expect(sealed.twice, "key and nonce pairs that came twice").toBe(0);
  for (const count of Object.values(met)) expect(count).toBeGreaterThan(10);
});
