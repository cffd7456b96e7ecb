/** When to try again: soon and elsewhere first, then ever slower. */

/** Uniform in [0, 1). `Math.random`, or a sequence that a test knows. */
export type Random = () => number;

export const FIRST_MS = 250;
export const SLOWEST_MS = 60_000;
export const WEBSOCKET_AGAIN_MS = 30_000;
export const WEBSOCKET_SLOWEST_MS = 10 * 60_000;

/** How long to wait after that many failures in a row: 0.25 s, then about 1, 2, 4 ... 60 s. */
export function retryAfter(failures: number, random: Random): number {
  return failures <= 1 ? FIRST_MS : doubling(1_000, SLOWEST_MS, failures - 2, random);
}

/** Until a node that is polled is tried by WebSocket again: 30 s, then slower, up to 10 minutes. */
export function webSocketAgainAfter(failures: number, random: Random): number {
  return doubling(WEBSOCKET_AGAIN_MS, WEBSOCKET_SLOWEST_MS, failures - 1, random);
}

/** `first`, doubled that many times up to `slowest`; a quarter less to a quarter more. */
export function doubling(first: number, slowest: number, times: number, random: Random): number {
  const slower = first * 2 ** Math.min(Math.max(0, times), 16);
  return Math.min(slowest, slower) * (0.75 + random() / 2);
}
