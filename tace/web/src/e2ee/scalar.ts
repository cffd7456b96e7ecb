/**
 * P-256 keys from uniform bytes: for the identity, which follows from the recovery code.
 *
 * WebCrypto imports a private key only together with its public point and computes none, so this
 * alone needs a curve library. It is loaded when an identity is made or restored, and not before.
 */

import { p256 } from "@noble/curves/nist.js";
import { type Bytes, concat } from "../wire/bytes";
import type { KeyPair } from "./crypto";

/** FIPS 186-5, A.2.1 takes 48: eight bytes more than the order, twice over. */
export const SEED_BYTES = 48;

export type KeyPurpose = "sign" | "agree";

/** The scalar `seed mod (n − 1) + 1` in 32 bytes. */
export function scalarFromSeed(seed: Uint8Array): Bytes {
  if (seed.length !== SEED_BYTES) throw new RangeError(`a seed has ${SEED_BYTES} bytes`);
  const order = p256.Point.CURVE().n;
  const uniform = seed.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
  let scalar = (uniform % (order - 1n)) + 1n;
  const bytes = new Uint8Array(32);
  for (let at = 31; at >= 0; at -= 1) {
    bytes[at] = Number(scalar & 0xffn);
    scalar >>= 8n;
  }
  return bytes;
}

/** A key that cannot be read out of what is returned. */
export async function keyFromScalar(scalar: Bytes, purpose: KeyPurpose): Promise<KeyPair> {
  const point = concat(p256.getPublicKey(scalar, true));
  const whole = p256.getPublicKey(scalar, false);
  const jwk: JsonWebKey = {
    kty: "EC",
    crv: "P-256",
    d: base64url(scalar),
    x: base64url(whole.subarray(1, 33)),
    y: base64url(whole.subarray(33)),
  };
  const privateKey = await crypto.subtle.importKey(
    "jwk",
    jwk,
    { name: purpose === "sign" ? "ECDSA" : "ECDH", namedCurve: "P-256" },
    false,
    [purpose === "sign" ? "sign" : "deriveBits"],
  );
  return { privateKey, point };
}

function base64url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
