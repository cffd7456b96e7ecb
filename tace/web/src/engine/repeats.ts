/**
 * When a stored message that nobody confirmed is offered again: all of its replicas may be gone, and
 * its sender is not (docs/protocol/client.md, section 9).
 *
 * The first offers come soon: somebody who is there has confirmed it by then, and a ring that was
 * wrong for a moment has been mended. A recipient who is away for days costs one offer a day.
 */

import { doubling, type Random } from "../network/backoff";

const FIRST_MS = 60_000;
const SLOWEST_MS = 24 * 3_600_000;
const REFUSED_SLOWEST_MS = 3_600_000;
/**
 * Who has met no node for so long offers everything once when one is met: what was due meanwhile,
 * and what became of the replicas, nobody looked after.
 */
export const ABSENT_MS = 6 * 3_600_000;

/** How long to wait after that many offers: a minute, then about twice as long, at last a day. */
export function repeatAfter(offers: number, random: Random): number {
  return doubling(FIRST_MS, SLOWEST_MS, offers - 1, random);
}

/**
 * The same where the last of them was refused: an hour at most, because nobody has said lately that
 * the message is still there.
 */
export function repeatAfterRefusal(offers: number, random: Random): number {
  return Math.min(REFUSED_SLOWEST_MS, repeatAfter(offers, random));
}
