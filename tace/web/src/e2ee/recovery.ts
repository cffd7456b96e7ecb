/** The recovery code: 128 bits that a person keeps, and the identity that follows from them. */

import { type Bytes, utf8 } from "../wire/bytes";
import { TaceError } from "../wire/errors";
import { CheckedBase32, Damaged } from "./base32";
import { hkdf, type KeyPair, type RandomBytes } from "./crypto";
import { E2eeLabel } from "./labels";

const CODE_BYTES = 16;
const GROUP = 5;
const TEXT = new CheckedBase32(E2eeLabel.RECOVERY_CHECK, CODE_BYTES, 30);
const SEED_BYTES = 48;

/** 16 secret bytes; as text six groups of five characters. */
export interface RecoveryCode {
  readonly secret: Bytes;
}

/** The identity IK: an ECDSA key. */
export type IdentityKey = KeyPair;

/** What was typed is no recovery code; the text says why, for the person who typed it. */
export class BadRecoveryCode extends TaceError {
  constructor(message: string) {
    super("bad-recovery-code", message);
  }
}

export function makeRecoveryCode(random: RandomBytes): RecoveryCode {
  return { secret: random(CODE_BYTES) };
}

/** @throws BadRecoveryCode says what is wrong with it. */
export async function parseRecoveryCode(text: string): Promise<RecoveryCode> {
  try {
    return { secret: await TEXT.decode(text) };
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    throw new BadRecoveryCode(`this is not a recovery code: ${error.message}`);
  }
}

/** `XXXXX-XXXXX-XXXXX-XXXXX-XXXXX-XXXXX` */
export async function recoveryCodeText(code: RecoveryCode): Promise<string> {
  const characters = await TEXT.encode(code.secret);
  return (characters.match(new RegExp(`.{${GROUP}}`, "g")) ?? []).join("-");
}

/** The identity of a code; its private key cannot be read out. */
export async function identityOf(code: RecoveryCode): Promise<IdentityKey> {
  const info = utf8(E2eeLabel.IDENTITY_SEED);
  const seed = await hkdf(code.secret, { salt: new Uint8Array(), info, length: SEED_BYTES });
  const { keyFromScalar, scalarFromSeed } = await import("./scalar");
  return await keyFromScalar(scalarFromSeed(seed), "sign");
}
