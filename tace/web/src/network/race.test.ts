import { beforeEach, describe, expect, it } from "vitest";
import { LinkLost, Refusal } from "../wire/errors";
import { retryAfter, webSocketAgainAfter } from "./backoff";
import { delay } from "./clock";
import { type Attempt, firstOf } from "./race";
import { VirtualClock } from "./testing/clock";

let clock: VirtualClock;
let started: [string, number][];
let begin: number;
let late: string[];

beforeEach(() => {
  clock = new VirtualClock();
  begin = clock.now();
  started = [];
  late = [];
});

function attempt(name: string, takesMs: number, error?: Error, deaf = false): Attempt<string> {
  return async (signal) => {
    started.push([name, clock.now() - begin]);
    await delay(clock, takesMs, deaf ? undefined : signal);
    if (error) throw error;
    return name;
  };
}

async function race(attempts: Attempt<string>[], signal?: AbortSignal): Promise<string> {
  const result = firstOf(clock, attempts, 250, (name) => late.push(name), signal);
  result.catch(() => {});
  await clock.advance(10_000);
  return result;
}

describe("the first that works", () => {
  it("needs no other when it is fast", async () => {
    expect(await race([attempt("a", 200), attempt("b", 0)])).toBe("a");
    expect(started).toEqual([["a", 0]]);
  });

  it("may be a later one; the others are stopped", async () => {
    expect(await race([attempt("a", 5_000), attempt("b", 100), attempt("c", 0)])).toBe("b");
    expect(started).toEqual([
      ["a", 0],
      ["b", 250],
    ]);
    expect(clock.pending).toBe(0);
    expect(late).toEqual([]);
  });

  it("a failure starts the next at once", async () => {
    await race([attempt("a", 10, new LinkLost("a")), attempt("b", 600), attempt("c", 600)]);
    expect(started).toEqual([
      ["a", 0],
      ["b", 10],
      ["c", 260],
    ]);
  });

  it("what comes too late is given back", async () => {
    expect(await race([attempt("a", 500, undefined, true), attempt("b", 10)])).toBe("b");
    expect(late).toEqual(["a"]);
  });

  it("when all fail, a refusal says more than a failure", async () => {
    const full = new Refusal("full");
    await expect(race([attempt("a", 10, new LinkLost("a")), attempt("b", 10, full)])).rejects.toBe(
      full,
    );
    const first = new LinkLost("a");
    await expect(
      race([attempt("a", 900, first), attempt("b", 900, new LinkLost("b"))]),
    ).rejects.toThrow("a");
  });

  it("needs something to attempt", async () => {
    await expect(race([])).rejects.toThrow(RangeError);
  });

  it("stops when it is told to", async () => {
    const stop = new AbortController();
    const result = firstOf(
      clock,
      [attempt("a", 900), attempt("b", 900)],
      250,
      () => {},
      stop.signal,
    );
    const failed = expect(result).rejects.toThrow("enough");
    await clock.advance(300);
    stop.abort(new Error("enough"));
    await failed;
    expect(clock.pending).toBe(0);
    await expect(race([attempt("c", 0)], stop.signal)).rejects.toThrow("enough");
    expect(started.map(([name]) => name)).toEqual(["a", "b"]);
  });
});

describe("when to try again", () => {
  const middle = () => 0.5;

  it("soon, then ever slower, up to a bound", () => {
    const waits = [1, 2, 3, 4, 8, 9, 1000].map((failures) => retryAfter(failures, middle));
    expect(waits).toEqual([250, 1_000, 2_000, 4_000, 60_000, 60_000, 60_000]);
    expect([1, 2, 6, 60].map((failures) => webSocketAgainAfter(failures, middle))).toEqual([
      30_000, 60_000, 600_000, 600_000,
    ]);
  });

  it("within a quarter more or less", () => {
    expect(retryAfter(2, () => 0)).toBe(750);
    expect(retryAfter(2, () => 1)).toBe(1_250);
  });
});
