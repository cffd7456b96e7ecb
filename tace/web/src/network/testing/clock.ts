import type { Clock } from "../clock";

interface Timer {
  at: number;
  order: number;
  call: () => void;
}

/**
 * Time that stands still until a test moves it.
 *
 * `advance` stops at every deadline on the way and lets promises settle there, so that what a
 * timer sets off happens at its own time and not at the end of the jump.
 */
export class VirtualClock implements Clock {
  #now: number;
  #made = 0;
  readonly #timers = new Set<Timer>();

  /** @param now where it begins, in milliseconds since 1970. */
  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  after(milliseconds: number, call: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, milliseconds), order: this.#made++, call };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  /** How many timers are set: 0 when everything was tidied up. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves on by that much, through every deadline on the way. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds;
    await settle();
    for (let timer = this.#next(end); timer; timer = this.#next(end)) {
      this.#timers.delete(timer);
      this.#now = timer.at;
      timer.call();
      await settle();
    }
    this.#now = end;
  }

  #next(end: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at > end) continue;
      if (!next || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) {
        next = timer;
      }
    }
    return next;
  }
}

/**
 * Lets everything that is under way settle: promises, and the few turns that WebCrypto or a fake
 * database need (their work is done outside this thread, so promises alone are not enough).
 *
 * @param turns how often the event loop goes round.
 */
export async function settle(turns = 4): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/**
 * Goes round the event loop until that holds: for work whose turns cannot be counted, because
 * other threads do it (WebCrypto).
 *
 * @throws Error it does not hold after 10,000 turns.
 */
export async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 10_000; turn += 1) {
    if (holds()) return;
    await settle(1);
  }
  throw new Error("what was waited for did not happen");
}
