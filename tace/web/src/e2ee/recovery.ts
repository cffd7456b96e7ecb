/**
 * The recovery code: 128 bits that a person keeps, and the identity that derives from them.
 *
 * It is uniformly random, so nothing is stretched.
 */

import { type Bytes, utf8 } from "../wire/bytes";
import { TaceError } from "../wire/errors";
import { type CheckedBase32, decodeBase32, encodeBase32, NotBase32 } from "./base32";
import {
  hkdf,
  importScalar,
  type KeyPair,
  type RandomBytes,
  SEED_BYTES,
  scalarFromSeed,
} from "./crypto";
import { E2eeLabel } from "./labels";

export const CODE_BYTES = 16;
/** 128 bits and a checksum of 22, in characters of five bits. */
export const CODE_CHARACTERS = 30;
const TEXT: CheckedBase32 = {
  label: E2eeLabel.recoveryCheck,
  valueBytes: CODE_BYTES,
  characters: CODE_CHARACTERS,
};

/** What was typed is no recovery code; the message says why, for the person who typed it. */
export class BadRecoveryCode extends TaceError {
  constructor(message: string) {
    super("bad-recovery-code", message);
  }
}

export interface RecoveryCode {
  /** 16 bytes. */
  readonly secret: Bytes;
}

/** The identity key IK: an ECDSA P-256 key. */
export type IdentityKey = KeyPair;

export function generateRecoveryCode(random: RandomBytes): RecoveryCode {
  return { secret: random(CODE_BYTES) };
}

/** @throws BadRecoveryCode says what is wrong with it. */
export async function parseRecoveryCode(text: string): Promise<RecoveryCode> {
  try {
    return { secret: await decodeBase32(TEXT, text) };
  } catch (error) {
    if (!(error instanceof NotBase32)) throw error;
    throw new BadRecoveryCode(`this is not a recovery code: ${error.message}`);
  }
}

/** Six groups of five characters with hyphens. */
export async function recoveryCodeText(code: RecoveryCode): Promise<string> {
  const characters = await encodeBase32(TEXT, code.secret);
  return characters.match(/.{5}/g)!.join("-");
}

/** The identity of a code; its private key cannot be taken out again. */
export async function identityOf(code: RecoveryCode): Promise<IdentityKey> {
  const info = utf8(E2eeLabel.identitySeed);
  const seed = await hkdf(code.secret, new Uint8Array(), info, SEED_BYTES);
  return await importScalar(scalarFromSeed(seed), "signing");
}
