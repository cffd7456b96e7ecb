/** Reading the end-to-end vectors, and the keys that stand in them. */

import { type Bytes, fromHex } from "../../wire/bytes";
import { vectorFile } from "../../wire/testing/vectors";
import type { KeyPair } from "../crypto";
import { type KeyPurpose, keyFromScalar } from "../scalar";

/** A file of tests/vectors, whose layout the test that reads it declares. */
export function load<T>(name: string): T {
  return vectorFile(name) as T;
}

/** An agreement key as vector files write it, in hexadecimal. */
export interface WrittenKey {
  readonly scalar: string;
  readonly public: string;
}

export function keyOf(written: WrittenKey, purpose: KeyPurpose = "agree"): Promise<KeyPair> {
  return keyFromScalar(fromHex(written.scalar), purpose);
}

/** The same bytes but for one bit. */
export function changed(bytes: Bytes, at: number, bit = 0): Bytes {
  const copy = bytes.slice();
  const place = at < 0 ? bytes.length + at : at;
  copy[place] = copy[place]! ^ (1 << bit);
  return copy;
}

/** What the promise is rejected with. @throws Error it is not rejected. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it was not rejected");
}
