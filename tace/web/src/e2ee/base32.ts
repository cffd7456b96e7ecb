/**
 * Crockford's base32 with a checksum: text that people read aloud, type and paste.
 *
 * The value and a checksum, bit after bit, most significant first, in characters of five bits. The
 * checksum is the first bits of H(label | value) and fills the last characters. Case does not
 * matter, spaces and hyphens are ignored, I and L are read as 1, O as 0.
 */

import type { Bytes } from "../wire/bytes";
import { hash } from "./crypto";
import type { E2eeLabel } from "./labels";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const IGNORED = " \t\r\n-\u00a0\u2010\u2013";

/** What was typed is not such a text; the message says why, for the person who typed it. */
export class NotBase32 extends Error {}

/** One kind of text. */
export interface CheckedBase32 {
  /** Of the checksum, so that one kind is not taken for another. */
  readonly label: E2eeLabel;
  readonly valueBytes: number;
  readonly characters: number;
}

/** Upper case, without separators. @throws RangeError the value has another length. */
export async function encodeBase32(kind: CheckedBase32, value: Uint8Array): Promise<string> {
  if (value.length !== kind.valueBytes) {
    throw new RangeError(`the value has ${kind.valueBytes} bytes, not ${value.length}`);
  }
  const bits = (toBigInt(value) << checkBits(kind)) | (await check(kind, value));
  let text = "";
  for (let place = kind.characters - 1; place >= 0; place -= 1) {
    text += ALPHABET[Number((bits >> BigInt(5 * place)) & 31n)];
  }
  return text;
}

/** @throws NotBase32 says what is wrong. */
export async function decodeBase32(kind: CheckedBase32, text: string): Promise<Bytes> {
  let bits = 0n;
  let found = 0;
  for (const character of text) {
    if (IGNORED.includes(character)) continue;
    const value = valueOf(character);
    if (value < 0) {
      const shown = JSON.stringify(character);
      throw new NotBase32(`${shown} (character ${found + 1}) is never part of it`);
    }
    found += 1;
    bits = (bits << 5n) | BigInt(value);
    if (found > kind.characters) {
      throw new NotBase32(`it is too long: it has ${kind.characters} characters`);
    }
  }
  if (found < kind.characters) {
    throw new NotBase32(`${kind.characters - found} of ${kind.characters} characters are missing`);
  }
  const value = toBytes(bits >> checkBits(kind), kind.valueBytes);
  if ((bits & ((1n << checkBits(kind)) - 1n)) !== (await check(kind, value))) {
    throw new NotBase32("a character is wrong, or two are swapped");
  }
  return value;
}

function valueOf(character: string): number {
  // Only ASCII: other letters whose upper case is an ASCII one are not what was written.
  if (!/^[0-9a-z]$/i.test(character)) return -1;
  const upper = character.toUpperCase();
  if (upper === "I" || upper === "L") return 1;
  return upper === "O" ? 0 : ALPHABET.indexOf(upper);
}

function checkBits(kind: CheckedBase32): bigint {
  return BigInt(5 * kind.characters - 8 * kind.valueBytes);
}

async function check(kind: CheckedBase32, value: Uint8Array): Promise<bigint> {
  return toBigInt(await hash(kind.label, value)) >> (256n - checkBits(kind));
}

function toBigInt(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function toBytes(value: bigint, length: number): Bytes {
  return Uint8Array.from({ length }, (_, at) =>
    Number((value >> BigInt(8 * (length - 1 - at))) & 0xffn),
  );
}
