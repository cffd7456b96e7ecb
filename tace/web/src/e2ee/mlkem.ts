/**
 * ML-KEM-768 (FIPS 203): the browser's where it has one, else noble's, loaded when it is wanted.
 *
 * A private half that the browser made cannot be read out. Noble's is the 64 bytes of its seed.
 */

import type { Bytes } from "../wire/bytes";

export const KEM_PUBLIC_BYTES = 1184;
export const KEM_CIPHERTEXT_BYTES = 1088;
export const KEM_SEED_BYTES = 64;

/** A decapsulation key: a CryptoKey, or the seed d ‖ z. */
export type KemPrivateKey = CryptoKey | Bytes;

export interface KemPair {
  readonly privateKey: KemPrivateKey;
  readonly publicKey: Bytes;
}

/** Not an ML-KEM-768 key or ciphertext. */
export class NotAKemValue extends Error {}

/** What a start takes: public key → shared secret 32, ciphertext 1088. */
export type Encapsulate = (publicKey: Bytes) => Promise<{ shared: Bytes; ciphertext: Bytes }>;

const ALGORITHM = "ML-KEM-768";

/** The methods of the WebCrypto draft on modern algorithms, as far as they are used here. */
interface KemSubtle {
  generateKey(name: string, extractable: boolean, usages: string[]): Promise<CryptoKeyPair>;
  importKey(
    format: "raw-public",
    key: Bytes,
    name: string,
    extractable: boolean,
    usages: string[],
  ): Promise<CryptoKey>;
  exportKey(format: "raw-public", key: CryptoKey): Promise<ArrayBuffer>;
  encapsulateBits(
    name: string,
    key: CryptoKey,
  ): Promise<{ sharedKey: ArrayBuffer; ciphertext: ArrayBuffer }>;
  decapsulateBits(name: string, key: CryptoKey, ciphertext: Bytes): Promise<ArrayBuffer>;
}

/**
 * The browser's own, when it works; asked each time, which takes a tenth of a millisecond.
 *
 * Names of methods alone prove nothing while it is a draft. A key that cannot be cloned could not be
 * kept in the database, and the prekey would be lost with the page: then a seed is better.
 */
async function native(): Promise<KemSubtle | null> {
  // TypeScript does not know the draft; that the methods are there is looked at.
  const subtle = crypto.subtle as unknown as Partial<KemSubtle>;
  if (!subtle.encapsulateBits || !subtle.decapsulateBits) return null;
  const whole = subtle as KemSubtle;
  try {
    const pair = await generated(whole);
    structuredClone(pair.privateKey);
    const raw = await whole.exportKey("raw-public", pair.publicKey);
    return raw.byteLength === KEM_PUBLIC_BYTES ? whole : null;
  } catch {
    return null;
  }
}

function generated(subtle: KemSubtle): Promise<CryptoKeyPair> {
  return subtle.generateKey(ALGORITHM, false, ["encapsulateBits", "decapsulateBits"]);
}

async function noble() {
  return (await import("@noble/post-quantum/ml-kem.js")).ml_kem768;
}

export async function makeKemPair(): Promise<KemPair> {
  const subtle = await native();
  if (subtle) {
    const pair = await generated(subtle);
    const publicKey = new Uint8Array(await subtle.exportKey("raw-public", pair.publicKey));
    return { privateKey: pair.privateKey, publicKey };
  }
  return await kemPairFromSeed(crypto.getRandomValues(new Uint8Array(KEM_SEED_BYTES)));
}

/** The pair of FIPS 203's seed d ‖ z, 64 bytes; its private half is that seed. */
export async function kemPairFromSeed(seed: Bytes): Promise<KemPair> {
  const { publicKey } = (await noble()).keygen(seed);
  return { privateKey: seed, publicKey: new Uint8Array(publicKey) };
}

/** @throws NotAKemValue the key is not one (FIPS 203, 7.2). */
export const encapsulate: Encapsulate = async (publicKey) => {
  checkLength(publicKey, KEM_PUBLIC_BYTES);
  const subtle = await native();
  if (subtle) {
    const key = await importPublic(subtle, publicKey);
    const { sharedKey, ciphertext } = await subtle.encapsulateBits(ALGORITHM, key);
    return { shared: new Uint8Array(sharedKey), ciphertext: new Uint8Array(ciphertext) };
  }
  try {
    const { sharedSecret, cipherText } = (await noble()).encapsulate(publicKey);
    return { shared: new Uint8Array(sharedSecret), ciphertext: new Uint8Array(cipherText) };
  } catch {
    throw new NotAKemValue("not an encapsulation key");
  }
};

/** @throws NotAKemValue not a ciphertext. A wrong one gives another secret, and no error. */
export async function decapsulate(privateKey: KemPrivateKey, ciphertext: Bytes): Promise<Bytes> {
  checkLength(ciphertext, KEM_CIPHERTEXT_BYTES);
  if (privateKey instanceof Uint8Array) {
    const kem = await noble();
    const { secretKey } = kem.keygen(privateKey);
    return new Uint8Array(kem.decapsulate(ciphertext, secretKey));
  }
  const subtle = await native();
  // A browser that lost its ML-KEM has lost the keys it made with it.
  if (!subtle) throw new NotAKemValue("this browser no longer has ML-KEM");
  return new Uint8Array(await subtle.decapsulateBits(ALGORITHM, privateKey, ciphertext));
}

/** The check of FIPS 203, 7.2. @throws NotAKemValue */
export async function checkKemPublic(publicKey: Bytes): Promise<void> {
  checkLength(publicKey, KEM_PUBLIC_BYTES);
  // 768 numbers of 12 bits, little-endian, each below q = 3329, then the 32 bytes of rho.
  for (let at = 0; at < KEM_PUBLIC_BYTES - 32; at += 3) {
    const [a, b, c] = [publicKey[at]!, publicKey[at + 1]!, publicKey[at + 2]!];
    if ((((b & 15) << 8) | a) >= 3329 || ((c << 4) | (b >> 4)) >= 3329) {
      throw new NotAKemValue("not an encapsulation key");
    }
  }
}

async function importPublic(subtle: KemSubtle, publicKey: Bytes): Promise<CryptoKey> {
  await checkKemPublic(publicKey);
  try {
    return await subtle.importKey("raw-public", publicKey, ALGORITHM, true, ["encapsulateBits"]);
  } catch (error) {
    if (error instanceof DOMException) throw new NotAKemValue("not an encapsulation key");
    throw error;
  }
}

function checkLength(value: Uint8Array, length: number): void {
  if (value.length !== length) throw new NotAKemValue(`${length} bytes are wanted`);
}
