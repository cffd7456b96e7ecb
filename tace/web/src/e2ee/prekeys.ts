/**
 * Prekeys: the halves that strangers start sessions with, and when they change.
 *
 * A device publishes one pair at a time (an ECDH P-256 key and an ML-KEM-768 key under one id), and
 * keeps the private halves of former ones for as long as a message made with them may arrive.
 */

import type { Bytes } from "../wire/bytes";
import { generatedKeys, type KeyPair, type KeySource, type RandomBytes } from "./crypto";
import { MESSAGE_LIFE_DAYS } from "./device";
import { generateKem, type KemKey } from "./mlkem";

export const MAX_PREKEY_ID = 0xffff_ffff;
/** Daily rotation and 60 days make 61; the rest is room for days that end early. */
export const KEPT_PREKEYS = 128;
const ROTATE_AFTER_SECONDS = 24 * 3600;
const OVERDUE_AFTER_SECONDS = 7 * 24 * 3600;

/** One pair of prekeys with its private halves. */
export interface Prekey {
  readonly id: number;
  readonly agreement: KeyPair;
  readonly kem: KemKey;
  readonly madeSeconds: number;
  /** The latest expiry of a record that named it. */
  readonly listedUntilHours: number;
}

/** "due": publish new ones while connected; "overdue": before anything else. */
export type Rotation = "not-yet" | "due" | "overdue";

export interface PrekeyTerms {
  /** Seconds since 1970. */
  readonly now: number;
  readonly listedUntilHours: number;
  readonly source?: KeySource;
  /** For the ML-KEM key, where WebCrypto has none. */
  readonly random?: RandomBytes;
}

const platformRandom: RandomBytes = (count): Bytes => crypto.getRandomValues(new Uint8Array(count));

/** New halves. @throws RangeError ids count from 1 to 2^32 - 1. */
export async function makePrekey(id: number, terms: PrekeyTerms): Promise<Prekey> {
  if (!Number.isInteger(id) || id < 1 || id > MAX_PREKEY_ID) {
    throw new RangeError(`prekey id ${id}`);
  }
  const { now, listedUntilHours, source = generatedKeys, random = platformRandom } = terms;
  return {
    id,
    agreement: await source.make("agreement"),
    kem: await generateKem(random),
    madeSeconds: Math.floor(now),
    listedUntilHours,
  };
}

/** The same, named by a record that lives until then as well. */
export function listedUntil(prekey: Prekey, expiresHours: number): Prekey {
  return { ...prekey, listedUntilHours: Math.max(prekey.listedUntilHours, expiresHours) };
}

/** Can no message made with it arrive any more? Then its private halves must go. */
export function outlived(prekey: Prekey, now: number): boolean {
  return now >= (prekey.listedUntilHours + MESSAGE_LIFE_DAYS * 24) * 3600;
}

/** What to do about the published prekeys at `now` (seconds since 1970). */
export function rotation(current: Prekey | null, now: number): Rotation {
  if (current === null) return "overdue";
  const age = now - current.madeSeconds;
  if (age >= OVERDUE_AFTER_SECONDS) return "overdue";
  // A clock that was set back must not keep one prekey in use for years.
  return age >= ROTATE_AFTER_SECONDS || age < -ROTATE_AFTER_SECONDS ? "due" : "not-yet";
}

/** The prekeys whose private halves stay, newest id first; at most 128. */
export function keptPrekeys(prekeys: readonly Prekey[], now: number): Prekey[] {
  const alive = prekeys.filter((prekey) => !outlived(prekey, now));
  return alive.sort((a, b) => b.id - a.id).slice(0, KEPT_PREKEYS);
}
