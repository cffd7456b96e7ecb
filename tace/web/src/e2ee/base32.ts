/**
 * Crockford's base32 with a checksum: text that people read aloud, type and paste.
 *
 * The value and a checksum, bit after bit, most significant first, in characters of five bits. The
 * checksum is the first bits of H(label ‖ value) and fills the last characters. Case does not
 * matter, spaces and hyphens are ignored, I and L are read as 1, O as 0.
 */

import type { Bytes } from "../wire/bytes";
import { hash } from "./crypto";
import type { E2eeLabel } from "./labels";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const IGNORED = /[ \t\r\n\-\u00a0\u2010\u2013]/;
/** By both cases and no more: other letters whose upper case is one of these are mistakes. */
const VALUES: ReadonlyMap<string, number> = new Map(
  [...ALPHABET, "I", "L", "O"].flatMap((letter) => {
    const alike = { I: 1, L: 1, O: 0 }[letter];
    const value = alike ?? ALPHABET.indexOf(letter);
    return [[letter, value] as const, [letter.toLowerCase(), value] as const];
  }),
);

/** The text is damaged; the message says how, in words for the person who typed it. */
export class Damaged extends Error {}

/** One kind of text: how many bytes it holds and in how many characters. */
export class CheckedBase32 {
  /** @param label of the checksum, so that one kind is not taken for another. */
  constructor(
    private readonly label: E2eeLabel,
    private readonly valueBytes: number,
    readonly characters: number,
  ) {}

  /** Upper case, without separators. */
  async encode(value: Bytes): Promise<string> {
    if (value.length !== this.valueBytes) throw new RangeError("a value of another length");
    let bits = (number(value) << BigInt(this.checkBits)) | (await this.check(value));
    let text = "";
    for (let place = 0; place < this.characters; place += 1) {
      text = ALPHABET.charAt(Number(bits & 31n)) + text;
      bits >>= 5n;
    }
    return text;
  }

  /** @throws Damaged says what is wrong. */
  async decode(text: string): Promise<Bytes> {
    let bits = 0n;
    let found = 0;
    for (const character of text) {
      if (IGNORED.test(character)) continue;
      const value = VALUES.get(character);
      if (value === undefined) {
        throw new Damaged(`'${character}' (character ${found + 1}) is never part of it`);
      }
      found += 1;
      if (found > this.characters) {
        throw new Damaged(`it is too long: it has ${this.characters} characters`);
      }
      bits = (bits << 5n) | BigInt(value);
    }
    if (found < this.characters) {
      const missing = this.characters - found;
      throw new Damaged(`${missing} of ${this.characters} characters are missing`);
    }
    const value = bytesOf(bits >> BigInt(this.checkBits), this.valueBytes);
    const check = bits & ((1n << BigInt(this.checkBits)) - 1n);
    if (check !== (await this.check(value))) {
      throw new Damaged("a character is wrong, or two are swapped");
    }
    return value;
  }

  private get checkBits(): number {
    return 5 * this.characters - 8 * this.valueBytes;
  }

  private async check(value: Bytes): Promise<bigint> {
    return number(await hash(this.label, value)) >> BigInt(256 - this.checkBits);
  }
}

function number(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function bytesOf(value: bigint, length: number): Bytes {
  const bytes = new Uint8Array(length);
  let rest = value;
  for (let at = length - 1; at >= 0; at -= 1) {
    bytes[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}
