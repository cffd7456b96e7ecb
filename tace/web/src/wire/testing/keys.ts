import { type Bytes, concat } from "../bytes";

/** An ECDSA key pair, and its compressed point. */
export interface SigningPair {
  readonly privateKey: CryptoKey;
  readonly publicKey: Bytes;
}

export async function signingPair(): Promise<SigningPair> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  const pair = await crypto.subtle.generateKey(algorithm, false, ["sign", "verify"]);
  const point = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  const sign = 2 + (point[64]! & 1);
  return {
    privateKey: pair.privateKey,
    publicKey: concat(Uint8Array.of(sign), point.subarray(1, 33)),
  };
}
