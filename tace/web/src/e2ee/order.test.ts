import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HOLD_SECONDS, HoldBack, MAX_HELD } from "./order";
import { load } from "./testing/vectors";

interface Event {
  readonly at: number;
  readonly event: "offer" | "due" | "caught up";
  readonly counter?: number;
  readonly shown: readonly number[];
  readonly deadline: number | null;
}

test("the vectors' events show what is written", () => {
  const given = load<{ next_counter: number; events: readonly Event[] }>("e2ee/order.json");
  const held = new HoldBack<number>(given.next_counter);
  for (const { at, event, counter = 0, shown, deadline } of given.events) {
    const found =
      event === "offer"
        ? held.offer(counter, counter, at)
        : event === "due"
          ? held.due(at)
          : held.caughtUp();
    expect(found, `at ${at}`).toEqual(shown);
    expect(held.deadline(), `at ${at}`).toBe(deadline);
  }
});

describe("holding back", () => {
  test("whatever the order, everything is shown once, and in order when nothing is late", () => {
    const shuffled = fc
      .shuffledSubarray(
        Array.from({ length: 40 }, (_, at) => at + 1),
        { minLength: 1 },
      )
      .chain((counters) => fc.tuple(fc.constant(counters), fc.array(fc.nat(39), { maxLength: 5 })));
    fc.assert(
      fc.property(shuffled, ([counters, repeats]) => {
        const held = new HoldBack<string>(1);
        const again = repeats.map((at) => counters[at % counters.length] ?? 1);
        const offered = [...counters, ...again].map((counter, at) => ({ counter, name: `${at}` }));
        const shown: string[] = [];
        for (const { counter, name } of offered) shown.push(...held.offer(counter, name, 0));
        shown.push(...held.caughtUp());
        expect(held.size).toBe(0);
        expect([...shown].sort()).toEqual(offered.map(({ name }) => name).sort());
        const first = shown.filter((name) => Number(name) < counters.length);
        const places = first.map((name) => counters[Number(name)]!);
        expect(places).toEqual([...places].sort((a, b) => a - b));
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  test("nothing waits longer than its time, by the clock of the caller", () => {
    const times = fc.array(fc.tuple(fc.integer({ min: 2, max: 60 }), fc.nat(10)), {
      maxLength: 40,
    });
    fc.assert(
      fc.property(times, (offers) => {
        const held = new HoldBack<number>(1);
        const came = new Map<number, number>();
        let now = 0;
        for (const [at, [counter, passed]] of offers.entries()) {
          now += passed / 4;
          came.set(at, now);
          const shown = [...held.due(now), ...held.offer(counter, at, now)];
          for (const each of shown) came.delete(each);
          for (const since of came.values()) expect(now - since).toBeLessThan(HOLD_SECONDS);
        }
        const deadline = held.deadline();
        if (deadline !== null) expect(held.due(deadline)).not.toEqual([]);
        held.due(now + HOLD_SECONDS);
        expect(held.size).toBe(0);
      }),
      { seed: 2, numRuns: 300 },
    );
  });

  test("256 are held; one more, and the first go", () => {
    const held = new HoldBack<number>(1);
    for (let counter = 2; counter < 2 + 2 * MAX_HELD; counter += 2) {
      expect(held.offer(counter, counter, 0)).toEqual([]);
    }
    expect(held.size).toBe(MAX_HELD);
    expect(held.offer(3, 3, 0)).toEqual([2, 3, 4]);
    expect([held.size, held.nextCounter]).toEqual([MAX_HELD - 2, 5]);
  });

  test("from a device never heard, a first 1 is shown at once, and others wait", () => {
    expect(new HoldBack<string>().offer(1, "first", 0)).toEqual(["first"]);
    const held = new HoldBack<string>();
    expect(held.offer(0, "no place", 0)).toEqual(["no place"]);
    expect(held.offer(7, "seventh", 0)).toEqual([]);
    expect(held.due(HOLD_SECONDS)).toEqual(["seventh"]);
    expect(held.nextCounter).toBe(8);
    expect(held.offer(3, "late", 5)).toEqual(["late"]);
    expect(held.offer(0, "no place", 5)).toEqual(["no place"]);
  });
});
