/** How far messages have come: what a node's answer makes of a parcel, and parcels of a message. */

import { retryAfter } from "../network/backoff";
import type { ParcelRow } from "../store/rows";
import type { MessageState } from "./contract";
import { repeatAfter, repeatAfterRefusal } from "./repeats";

/** The longest that one node may ask to be left alone. */
export const LONGEST_PAUSE_MS = 60_000;

/** What a node answered for one envelope (docs/protocol/client.md, section 5). */
export interface Answer {
  /** Id of the node, 64 hexadecimal digits. */
  node: string;
  state: string;
  copies: number;
  of: number;
  retryAfterMs: number;
  /** `acked` with a secret that opens the envelope's lock. */
  proved: boolean;
}

/**
 * The parcel after that answer, with the time of its next offer.
 *
 * No word of one node ends a parcel: another node may take it.
 *
 * @param elsewhere the next offer goes to another node, so this one's wish for a pause does not
 *   hold it back.
 * @param chance uniform in [0, 1).
 */
export function offered(
  parcel: ParcelRow,
  answer: Answer,
  nowMs: number,
  chance: () => number,
  elsewhere: boolean,
): ParcelRow {
  if (answer.proved) return { ...parcel, state: "acked", nextMs: null, refusal: null };
  if (answer.state === "stored" || answer.state === "duplicate") {
    const offers = parcel.state === "stored" ? parcel.attempts + 1 : 1;
    return {
      ...parcel,
      state: "stored",
      copies: answer.copies,
      replicas: answer.of,
      attempts: offers,
      nextMs: nowMs + repeatAfter(offers, chance),
      asked: answer.node,
      refusal: null,
    };
  }
  if (parcel.state === "stored") {
    // It was on a majority of disks a while ago, and does not fall back.
    const offers = parcel.attempts + 1;
    const nextMs = nowMs + repeatAfterRefusal(offers, chance);
    return { ...parcel, attempts: offers, nextMs, asked: answer.node };
  }
  const failures = parcel.attempts + 1;
  const wait = retryAfter(failures, chance);
  const pause = elsewhere ? 0 : Math.min(LONGEST_PAUSE_MS, answer.retryAfterMs);
  return {
    ...parcel,
    copies: Math.max(parcel.copies, answer.copies),
    replicas: Math.max(parcel.replicas, answer.of),
    attempts: failures,
    nextMs: nowMs + Math.max(wait, pause),
    refusal: answer.state === "partial" ? null : answer.state,
  };
}

export interface Progress {
  state: Extract<MessageState, "saved" | "stored" | "delivered">;
  copies: number;
  of: number;
}

const RANK = { saved: 0, stored: 1, delivered: 2 };
const NOTHING: Progress = { state: "saved", copies: 0, of: 0 };

/**
 * How far a message is: as far as the least of its contents, each on the best device.
 *
 * @param contents the parcels of each content of it that is still in the outbox; not none.
 */
export function progressOf(contents: readonly (readonly ParcelRow[])[]): Progress {
  const each = contents.map((parcels) =>
    parcels.map(parcelProgress).reduce((a, b) => (order(a, b) >= 0 ? a : b), NOTHING),
  );
  return each.reduce((a, b) => (order(a, b) <= 0 ? a : b), each[0] ?? NOTHING);
}

function parcelProgress(parcel: ParcelRow): Progress {
  const { copies, replicas: of } = parcel;
  if (parcel.state === "acked") return { state: "delivered", copies, of };
  return { state: parcel.state === "stored" ? "stored" : "saved", copies, of };
}

function order(a: Progress, b: Progress): number {
  return RANK[a.state] - RANK[b.state] || a.copies - b.copies;
}
