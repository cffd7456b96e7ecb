/**
 * The primitives, all of WebCrypto: hashes, HKDF, HMAC, AES-256-GCM, and P-256 keys whose public
 * halves travel as 33-byte compressed points.
 */

import { type Bytes, concat, utf8 } from "../wire/bytes";
import type { Points } from "../wire/digest";
import type { E2eeLabel } from "./labels";

export const KEY_BYTES = 32;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
export const POINT_BYTES = 33;
export const SIGNATURE_BYTES = 64;
/** Uniform bytes from which a scalar is made (FIPS 186-5, A.2.1). */
export const SEED_BYTES = 48;

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const CURVE = { name: "ECDH", namedCurve: "P-256" } as const;
const SIGNING = { name: "ECDSA", namedCurve: "P-256" } as const;
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" } as const;
const UNCOMPRESSED = 65;

/** Gives that many unpredictable bytes. */
export type RandomBytes = (count: number) => Bytes;

/** The tag does not fit: another key, or bytes that somebody changed. */
export class WrongKeyOrData extends Error {}

/** Bytes that are no compressed point on the curve. */
export class NotAPoint extends Error {}

/** A private key that cannot be taken out of WebCrypto, and its 33-byte point. */
export interface KeyPair {
  readonly privateKey: CryptoKey;
  readonly point: Bytes;
}

export type KeyUse = "agreement" | "signing";

/** Where new private keys come from. */
export interface KeySource {
  make(use: KeyUse): Promise<KeyPair>;
}

/** Keys that WebCrypto draws and keeps to itself. */
export const generatedKeys: KeySource = {
  async make(use) {
    const made =
      use === "agreement"
        ? await crypto.subtle.generateKey(CURVE, false, ["deriveBits"])
        : await crypto.subtle.generateKey(SIGNING, false, ["sign", "verify"]);
    const raw = new Uint8Array(await crypto.subtle.exportKey("raw", made.publicKey));
    return { privateKey: made.privateKey, point: compress(raw) };
  },
};

/** H of the specification: SHA-256 over the label and the fields. */
export async function hash(label: E2eeLabel, ...fields: readonly Uint8Array[]): Promise<Bytes> {
  const data = concat(utf8(label), ...fields);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", data));
}

/** HKDF-SHA-256 (RFC 5869); an empty salt stands for 32 zero bytes, as in the RFC. */
export async function hkdf(
  keyMaterial: Bytes,
  salt: Bytes,
  info: Bytes,
  length: number,
): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw", keyMaterial, "HKDF", false, ["deriveBits"]);
  return await hkdfFrom(key, salt, info, length);
}

/** The same from an imported key. */
export async function hkdfFrom(
  key: CryptoKey,
  salt: Bytes,
  info: Bytes,
  length: number,
): Promise<Bytes> {
  const algorithm = { name: "HKDF", hash: "SHA-256", salt, info };
  return new Uint8Array(await crypto.subtle.deriveBits(algorithm, key, 8 * length));
}

/** HMAC-SHA-256 of each of the inputs, 32 bytes. */
export async function macs(key: Bytes, ...inputs: readonly Bytes[]): Promise<Bytes[]> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", key, algorithm, false, ["sign"]);
  const made = inputs.map((input) => crypto.subtle.sign("HMAC", imported, input));
  return (await Promise.all(made)).map((mac) => new Uint8Array(mac));
}

/** AES-256-GCM: ciphertext | tag 16. */
export async function aeadSeal(
  key: Bytes,
  nonce: Bytes,
  plaintext: Bytes,
  associatedData: Bytes,
): Promise<Bytes> {
  const imported = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["encrypt"]);
  const algorithm = { name: "AES-GCM", iv: nonce, additionalData: associatedData };
  return new Uint8Array(await crypto.subtle.encrypt(algorithm, imported, plaintext));
}

/** @throws WrongKeyOrData the tag does not fit, or there is no room for one. */
export async function aeadOpen(
  key: Bytes,
  nonce: Bytes,
  ciphertext: Bytes,
  associatedData: Bytes,
): Promise<Bytes> {
  const imported = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
  const algorithm = { name: "AES-GCM", iv: nonce, additionalData: associatedData };
  try {
    return new Uint8Array(await crypto.subtle.decrypt(algorithm, imported, ciphertext));
  } catch {
    // With a well-formed key and nonce, nothing but the tag can fail.
    throw new WrongKeyOrData("the tag does not fit");
  }
}

/** ECDH: the x coordinate, 32 bytes. @throws NotAPoint */
export async function agree(privateKey: CryptoKey, point: Uint8Array): Promise<Bytes> {
  const peer = await importPoint(point, "agreement");
  const algorithm = { name: "ECDH", public: peer };
  return new Uint8Array(await crypto.subtle.deriveBits(algorithm, privateKey, 8 * KEY_BYTES));
}

/** @throws NotAPoint not a compressed point on the curve. */
export async function importPoint(point: Uint8Array, use: KeyUse): Promise<CryptoKey> {
  if (point.length !== POINT_BYTES || (point[0] !== 2 && point[0] !== 3)) {
    throw new NotAPoint("not a compressed point");
  }
  const algorithm = use === "agreement" ? CURVE : SIGNING;
  const usages: KeyUsage[] = use === "agreement" ? [] : ["verify"];
  try {
    return await crypto.subtle.importKey("raw", concat(point), algorithm, true, usages);
  } catch {
    throw new NotAPoint("not a point on the curve");
  }
}

/** Of the 65 bytes of an uncompressed point. */
export function compress(uncompressed: Uint8Array): Bytes {
  if (uncompressed.length !== UNCOMPRESSED || uncompressed[0] !== 4) {
    throw new NotAPoint("not an uncompressed point");
  }
  const isOdd = uncompressed[UNCOMPRESSED - 1]! & 1;
  return concat(Uint8Array.of(2 + isOdd), uncompressed.subarray(1, POINT_BYTES));
}

/** ECDSA P-256 with SHA-256: r 32 | s 32. */
export async function signLabelled(
  privateKey: CryptoKey,
  label: E2eeLabel,
  data: Uint8Array,
): Promise<Bytes> {
  const signed = concat(utf8(label), data);
  return new Uint8Array(await crypto.subtle.sign(SIGNATURE, privateKey, signed));
}

/** What the wire needs of P-256. */
export const verifyPoints: Points = {
  async verify(publicKey, signature, message) {
    if (signature.length !== SIGNATURE_BYTES) return false;
    let key: CryptoKey;
    try {
      key = await importPoint(publicKey, "signing");
    } catch (error) {
      if (error instanceof NotAPoint) return false;
      throw error;
    }
    return await crypto.subtle.verify(SIGNATURE, key, concat(signature), concat(message));
  },
  async uncompress(publicKey) {
    const key = await importPoint(publicKey, "agreement");
    return new Uint8Array(await crypto.subtle.exportKey("raw", key));
  },
};

/** The private scalar of 48 uniform bytes, 32 bytes (FIPS 186-5, A.2.1). */
export function scalarFromSeed(seed: Uint8Array): Bytes {
  if (seed.length !== SEED_BYTES) throw new RangeError(`a seed has ${SEED_BYTES} bytes`);
  let value = 0n;
  for (const byte of seed) value = (value << 8n) | BigInt(byte);
  let scalar = (value % (ORDER - 1n)) + 1n;
  const bytes = new Uint8Array(KEY_BYTES);
  for (let at = KEY_BYTES - 1; at >= 0; at -= 1) {
    bytes[at] = Number(scalar & 0xffn);
    scalar >>= 8n;
  }
  return bytes;
}

/**
 * A scalar as a key that cannot be taken out again. WebCrypto computes no public point, so the
 * curve is loaded for it: this happens once, when an identity is made from its code.
 */
export async function importScalar(scalar: Bytes, use: KeyUse): Promise<KeyPair> {
  const { p256 } = await import("@noble/curves/nist.js");
  const uncompressed = p256.getPublicKey(scalar, false);
  const jwk = {
    kty: "EC",
    crv: "P-256",
    d: base64Url(scalar),
    x: base64Url(uncompressed.subarray(1, 33)),
    y: base64Url(uncompressed.subarray(33)),
  };
  const algorithm = use === "agreement" ? CURVE : SIGNING;
  const usages: KeyUsage[] = use === "agreement" ? ["deriveBits"] : ["sign"];
  const privateKey = await crypto.subtle.importKey("jwk", jwk, algorithm, false, usages);
  return { privateKey, point: compress(uncompressed) };
}

function base64Url(bytes: Uint8Array): string {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
