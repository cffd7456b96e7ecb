/** The labelled hash, and what is signed under a label. */

import { type Bytes, concat, utf8 } from "./bytes";

/** The domain labels of what stands in messages. No label is a prefix of another one. */
export const Label = {
  node: "tace node 1",
  nodeRecord: "tace node record 1",
  lease: "tace lease 1",
  removal: "tace removal 1",
  mailbox: "tace mailbox 1",
  message: "tace message 1",
  lock: "tace lock 1",
  stamp: "tace stamp 1",
  userRecordKey: "tace record 1",
  userRecord: "tace user record 1",
} as const;

export type Label = (typeof Label)[keyof typeof Label];

/** SHA-256 over the label and the fields, which have a fixed length or carry their own. */
export function digest(label: Label, ...fields: readonly Uint8Array[]): Promise<Bytes> {
  return sha256(labelled(label, ...fields));
}

export async function sha256(data: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

/** What a signature under that label is over. */
export function labelled(label: Label, ...fields: readonly Uint8Array[]): Bytes {
  return concat(utf8(label), ...fields);
}

/**
 * What is needed of P-256 keys that travel as 33-byte compressed points.
 *
 * "e2ee/crypto" provides it; here it comes in, so that the layouts need no elliptic curve.
 */
export interface Points {
  /** ECDSA with SHA-256, `r 32 | s 32`. False, never an error, whatever the bytes are. */
  verify(publicKey: Uint8Array, signature: Uint8Array, message: Uint8Array): Promise<boolean>;
  /**
   * The 65 bytes of the uncompressed point.
   * @throws when it is not a point on the curve.
   */
  uncompress(publicKey: Uint8Array): Promise<Bytes> | Bytes;
}

/** Signs with ECDSA P-256 and SHA-256: 64 bytes, `r 32 | s 32`. */
export async function sign(
  key: CryptoKey,
  label: Label,
  ...fields: readonly Uint8Array[]
): Promise<Bytes> {
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  return new Uint8Array(await crypto.subtle.sign(algorithm, key, labelled(label, ...fields)));
}
