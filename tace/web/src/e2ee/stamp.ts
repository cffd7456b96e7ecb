/**
 * Making stamps: proof of work over an id with a committed target.
 *
 * The least nonce for which H("tace stamp 1" ‖ id 32 ‖ target u8 ‖ nonce u64) starts with `target`
 * zero bits. WebCrypto answers each hash with a promise, which costs more than the hash: so this
 * one thing is hashed by a library.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { concat, utf8 } from "../wire/bytes";
import { Label } from "../wire/digest";

/** Hashes between two looks at whether to go on: some milliseconds. */
const STEP = 2048;

/**
 * Look for a nonce; yields null after every 2,048 hashes without one, then the nonce.
 *
 * Expected work: 2^target hashes.
 */
export function* stampSearch(id: Uint8Array, target: number): Generator<bigint | null, void> {
  if (!(target >= 0 && target <= 255)) throw new RangeError(`a target of ${target} bits`);
  const head = sha256.create().update(concat(utf8(Label.stamp), id, Uint8Array.of(target)));
  const nonce = new Uint8Array(8);
  const view = new DataView(nonce.buffer);
  const state = head.clone();
  // A number up to 2^53 is beyond what any target that is asked for takes.
  for (let candidate = 0; ; candidate += 1) {
    view.setUint32(0, Math.floor(candidate / 0x1_0000_0000));
    view.setUint32(4, candidate % 0x1_0000_0000);
    head._cloneInto(state);
    if (leadingZeros(state.update(nonce).digest()) >= target) {
      yield BigInt(candidate);
      return;
    }
    if (candidate % STEP === STEP - 1) yield null;
  }
}

function leadingZeros(digest: Uint8Array): number {
  let bits = 0;
  for (const byte of digest) {
    if (byte !== 0) return bits + Math.clz32(byte) - 24;
    bits += 8;
  }
  return bits;
}
