/**
 * The pieces that WebCrypto gives: hash, HKDF, HMAC, AES-256-GCM, ECDH and ECDSA on P-256.
 *
 * Public keys travel as 33-byte compressed points. WebCrypto imports those itself and checks that
 * they are on the curve; what it will not give back of an agreement is more than the x coordinate.
 */

import { type Bytes, concat, utf8 } from "../wire/bytes";
import { type Points, sha256 } from "../wire/digest";
import type { E2eeLabel } from "./labels";

export const KEY_BYTES = 32;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
export const POINT_BYTES = 33;
export const SIGNATURE_BYTES = 64;

/** Gives that many unpredictable bytes. */
export type RandomBytes = (count: number) => Bytes;

/** The tag does not fit: another key, or bytes that somebody changed. */
export class WrongKeyOrData extends Error {}

/** Not a compressed point on P-256. */
export class NotAPoint extends Error {}

const ECDH = { name: "ECDH", namedCurve: "P-256" } as const;
const ECDSA = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNED = { name: "ECDSA", hash: "SHA-256" } as const;
const { subtle } = crypto;

/** H(label ‖ …) of docs/protocol/e2ee.md, section 1. */
export function hash(label: E2eeLabel, ...fields: readonly Uint8Array[]): Promise<Bytes> {
  return sha256(concat(utf8(label), ...fields));
}

/** HKDF-SHA-256 (RFC 5869); an empty salt stands for 32 zero bytes, as there. */
export async function hkdf(
  keyMaterial: Bytes,
  { salt, info, length }: { salt: Bytes; info: Bytes; length: number },
): Promise<Bytes> {
  const key = await subtle.importKey("raw", keyMaterial, "HKDF", false, ["deriveBits"]);
  const parameters = { name: "HKDF", hash: "SHA-256", salt, info };
  return new Uint8Array(await subtle.deriveBits(parameters, key, 8 * length));
}

const HMAC = { name: "HMAC", hash: "SHA-256" } as const;

/** HMAC-SHA-256 of each of `data` under one key, 32 bytes each. */
export async function macs(key: Bytes, ...data: readonly Bytes[]): Promise<Bytes[]> {
  const imported = await subtle.importKey("raw", key, HMAC, false, ["sign"]);
  return await Promise.all(
    data.map(async (each) => new Uint8Array(await subtle.sign("HMAC", imported, each))),
  );
}

/** AES-256-GCM: ciphertext ‖ tag 16. */
export async function aeadSeal(
  key: Bytes,
  nonce: Bytes,
  plaintext: Bytes,
  associatedData: Bytes,
): Promise<Bytes> {
  const imported = await subtle.importKey("raw", key, "AES-GCM", false, ["encrypt"]);
  const parameters = { name: "AES-GCM", iv: nonce, additionalData: associatedData };
  return new Uint8Array(await subtle.encrypt(parameters, imported, plaintext));
}

/** @throws WrongKeyOrData the tag does not fit, or there is no room for one. */
export async function aeadOpen(
  key: Bytes,
  nonce: Bytes,
  ciphertext: Bytes,
  associatedData: Bytes,
): Promise<Bytes> {
  const imported = await subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
  const parameters = { name: "AES-GCM", iv: nonce, additionalData: associatedData };
  try {
    return new Uint8Array(await subtle.decrypt(parameters, imported, ciphertext));
  } catch (error) {
    if (error instanceof DOMException) throw new WrongKeyOrData();
    throw error;
  }
}

// -- P-256 ----------------------------------------------------------------------------------------

/** A private key that cannot be read out, and its compressed point. */
export interface KeyPair {
  readonly privateKey: CryptoKey;
  /** 33 bytes. */
  readonly point: Bytes;
}

/** Where ECDH keys come from: the browser; in tests what the vectors say. */
export type AgreementKeys = () => Promise<KeyPair>;

/** A fresh ECDH key. */
export async function makeAgreementKey(): Promise<KeyPair> {
  const pair = await subtle.generateKey(ECDH, false, ["deriveBits"]);
  return { privateKey: pair.privateKey, point: await pointOf(pair.publicKey) };
}

/** A fresh ECDSA key. */
export async function makeSigningKey(): Promise<KeyPair> {
  const pair = await subtle.generateKey(ECDSA, false, ["sign", "verify"]);
  return { privateKey: pair.privateKey, point: await pointOf(pair.publicKey) };
}

/** The compressed point of a public key. */
export async function pointOf(publicKey: CryptoKey): Promise<Bytes> {
  return compress(new Uint8Array(await subtle.exportKey("raw", publicKey)));
}

/** SEC 1, 2.3.3: the x coordinate behind a byte that tells which of the two y it is. */
export function compress(uncompressed: Uint8Array): Bytes {
  const isOdd = (uncompressed.at(-1) ?? 0) & 1;
  return concat(Uint8Array.of(2 + isOdd), uncompressed.subarray(1, POINT_BYTES));
}

/**
 * The 32-byte shared secret with a 33-byte public key.
 *
 * @throws NotAPoint
 */
export async function agree(key: KeyPair, point: Bytes): Promise<Bytes> {
  const publicKey = await importPoint(point, ECDH, []);
  return new Uint8Array(
    await subtle.deriveBits({ name: "ECDH", public: publicKey }, key.privateKey, 256),
  );
}

/** @throws NotAPoint */
export async function checkPoint(point: Bytes): Promise<void> {
  await importPoint(point, ECDH, []);
}

/** The 65 bytes of the uncompressed point. @throws NotAPoint */
export async function uncompress(point: Bytes): Promise<Bytes> {
  return new Uint8Array(await subtle.exportKey("raw", await importPoint(point, ECDH, [])));
}

/** ECDSA with SHA-256 over the label and the fields: r ‖ s, 64 bytes. */
export async function sign(
  key: KeyPair,
  label: E2eeLabel,
  ...fields: readonly Uint8Array[]
): Promise<Bytes> {
  const signed = concat(utf8(label), ...fields);
  return new Uint8Array(await subtle.sign(SIGNED, key.privateKey, signed));
}

/** False, never an error, whatever the bytes are. */
export async function verify(
  point: Uint8Array,
  signature: Uint8Array,
  message: Uint8Array,
): Promise<boolean> {
  let key: CryptoKey;
  try {
    key = await importPoint(concat(point), ECDSA, ["verify"]);
  } catch (error) {
    if (error instanceof NotAPoint) return false;
    throw error;
  }
  return await subtle.verify(SIGNED, key, concat(signature), concat(message));
}

/** What layouts and records need of elliptic curves. */
export const points: Points = {
  verify,
  uncompress: (point) => uncompress(concat(point)),
};

async function importPoint(
  point: Bytes,
  algorithm: typeof ECDH | typeof ECDSA,
  usages: KeyUsage[],
): Promise<CryptoKey> {
  // The other encodings that WebCrypto takes are not those of the protocol.
  if (point.length !== POINT_BYTES || (point[0] !== 2 && point[0] !== 3)) throw new NotAPoint();
  try {
    return await subtle.importKey("raw", point, algorithm, true, usages);
  } catch (error) {
    if (error instanceof DOMException) throw new NotAPoint();
    throw error;
  }
}
