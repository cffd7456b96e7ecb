/**
 * Tries several ways to one end, each a little after the other, and takes the first that works.
 *
 * The idea of RFC 8305 (Happy Eyeballs): a dead address must not cost its whole timeout.
 */

import { Refusal } from "../wire/errors";
import type { Clock } from "./clock";

/** One way. When the signal fires another was faster: it lets go of what it has and rejects. */
export type Attempt<T> = (signal: AbortSignal) => Promise<T>;

/**
 * The first good result; the attempts still under way are then aborted. The next attempt starts
 * when the one before has failed, or after `staggerMs`. A result that comes after the end is given
 * to `tooLate`.
 *
 * When all failed so does this: with the first refusal, because it says why, else with the first
 * failure.
 */
export function firstOf<T>(
  clock: Clock,
  attempts: readonly Attempt<T>[],
  staggerMs: number,
  tooLate: (result: T) => void,
  signal?: AbortSignal,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const waiting = [...attempts];
    const running = new Set<AbortController>();
    const errors: unknown[] = [];
    let over = false;
    let cancelTimer = () => {};

    const stop = () => {
      over = true;
      cancelTimer();
      signal?.removeEventListener("abort", aborted);
      for (const attempt of running) attempt.abort();
    };
    const aborted = () => {
      stop();
      reject(signal?.reason);
    };
    const startNext = () => {
      cancelTimer();
      const attempt = waiting.shift();
      if (!attempt) return;
      const controller = new AbortController();
      running.add(controller);
      attempt(controller.signal).then(
        (result) => {
          running.delete(controller);
          if (over) {
            tooLate(result);
            return;
          }
          stop();
          resolve(result);
        },
        (error: unknown) => {
          running.delete(controller);
          if (over) return;
          errors.push(error);
          if (waiting.length > 0) {
            startNext();
          } else if (running.size === 0) {
            stop();
            reject(errors.find((each) => each instanceof Refusal) ?? errors[0]);
          }
        },
      );
      if (waiting.length > 0) cancelTimer = clock.after(staggerMs, startNext);
    };

    if (waiting.length === 0) {
      reject(new RangeError("nothing to attempt"));
    } else if (signal?.aborted) {
      reject(signal.reason);
    } else {
      signal?.addEventListener("abort", aborted, { once: true });
      startNext();
    }
  });
}
