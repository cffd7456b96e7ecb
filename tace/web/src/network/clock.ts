/** Time, as everything in "network" and "engine" knows it: given, never reached for. */
export interface Clock {
  /** Milliseconds since 1970, on this device's word. */
  now(): number;
  /** Calls once after that many milliseconds; the answer takes it back (harmless when it is over). */
  after(milliseconds: number, call: () => void): () => void;
}

/** The time of the browser (or of Node). */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(milliseconds, call) {
    const timer = setTimeout(call, milliseconds);
    return () => clearTimeout(timer);
  },
};

/** Resolves after that long; rejects with the signal's reason when that comes first. */
export function delay(clock: Clock, milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const onAbort = () => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.after(milliseconds, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
