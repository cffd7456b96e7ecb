/**
 * Prekeys: an ECDH and an ML-KEM key under one id, by which strangers start sessions.
 *
 * New ones daily while connected, and after a week before anything else. The private halves stay as
 * long as a message made with them may still arrive: the last record that named them, and 30 days.
 */

import type { Bytes } from "../wire/bytes";
import { type KeyPair, makeAgreementKey } from "./crypto";
import { MESSAGE_LIFE_DAYS } from "./device";
import { type KemPrivateKey, makeKemPair } from "./mlkem";

export const MAX_PREKEY_ID = 0xffff_ffff;
const ROTATE_AFTER_SECONDS = 24 * 3600;
const OVERDUE_AFTER_SECONDS = 7 * 24 * 3600;
/** Daily rotation and 60 days make 61; the rest is room for days that end early. */
const KEPT_PREKEYS = 128;

export interface Prekey {
  readonly id: number;
  readonly agreement: KeyPair;
  readonly kem: KemPrivateKey;
  readonly kemPublic: Bytes;
  readonly madeSeconds: number;
  /** The latest expiry of a record that named it. */
  readonly listedUntilHours: number;
}

/** "overdue": publish new ones before anything else. "due": while connected; nothing waits. */
export type Rotation = "not-yet" | "due" | "overdue";

export async function makePrekey(
  id: number,
  { now, listedUntilHours }: { now: number; listedUntilHours: number },
): Promise<Prekey> {
  const agreement = await makeAgreementKey();
  const { privateKey: kem, publicKey: kemPublic } = await makeKemPair();
  return { id, agreement, kem, kemPublic, madeSeconds: Math.floor(now), listedUntilHours };
}

/** The same, named by a record that lives until then as well. */
export function listedUntil(prekey: Prekey, expiresHours: number): Prekey {
  return { ...prekey, listedUntilHours: Math.max(prekey.listedUntilHours, expiresHours) };
}

/** What to do about the published prekeys at `now` (unix seconds). */
export function rotation(current: Prekey | null, now: number): Rotation {
  if (!current) return "overdue";
  const age = now - current.madeSeconds;
  if (age >= OVERDUE_AFTER_SECONDS) return "overdue";
  // A clock that was set back must not keep one prekey in use for years.
  if (age >= ROTATE_AFTER_SECONDS || age < -ROTATE_AFTER_SECONDS) return "due";
  return "not-yet";
}

/** The prekeys whose private halves stay, newest id first; at most 128. */
export function keptPrekeys(prekeys: readonly Prekey[], now: number): Prekey[] {
  return prekeys
    .filter((prekey) => now < (prekey.listedUntilHours + MESSAGE_LIFE_DAYS * 24) * 3600)
    .sort((a, b) => b.id - a.id)
    .slice(0, KEPT_PREKEYS);
}
