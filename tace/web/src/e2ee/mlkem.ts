/**
 * ML-KEM-768 (FIPS 203): WebCrypto's where it has it, else one in JavaScript that is loaded then.
 *
 * WebCrypto's private keys cannot be taken out. Those of the fallback are their 64-byte seed, as it
 * lies in the database: a program in this page could read it, which openly weakens only the part
 * that guards against quantum computers.
 */

import type { Bytes } from "../wire/bytes";
import { concat } from "../wire/bytes";
import type { RandomBytes } from "./crypto";

export const KEM_PUBLIC_BYTES = 1184;
export const KEM_CIPHERTEXT_BYTES = 1088;
/** d | z of FIPS 203, from which the key pair follows. */
export const KEM_SEED_BYTES = 64;
const MODULUS = 3329;
const ENCODED_VECTOR_BYTES = 1152;
const NAME = "ML-KEM-768";

export interface KemKey {
  /** A non-extractable key of WebCrypto, or the seed. */
  readonly secret: CryptoKey | Bytes;
  readonly public: Bytes;
}

export interface Encapsulated {
  /** 32 bytes. */
  readonly shared: Bytes;
  /** 1,088 bytes. */
  readonly ciphertext: Bytes;
}

/** Public key (valid) to a shared secret and its ciphertext. */
export type Encapsulate = (publicKey: Bytes) => Promise<Encapsulated>;

/** What the types of TypeScript do not know of WebCrypto yet. */
interface KemCrypto {
  generateKey(name: string, extractable: boolean, usages: readonly string[]): Promise<CryptoKeyPair>;
  importKey(
    format: string,
    key: Bytes,
    name: string,
    extractable: boolean,
    usages: readonly string[],
  ): Promise<CryptoKey>;
  exportKey(format: string, key: CryptoKey): Promise<ArrayBuffer>;
  encapsulateBits(
    name: string,
    key: CryptoKey,
  ): Promise<{ sharedKey: ArrayBuffer; ciphertext: ArrayBuffer }>;
  decapsulateBits(name: string, key: CryptoKey, ciphertext: Bytes): Promise<ArrayBuffer>;
}

/** WebCrypto's ML-KEM, or null where it has none. */
function native(): KemCrypto | null {
  const { subtle } = crypto;
  // The check is what the type says.
  return "encapsulateBits" in subtle && "decapsulateBits" in subtle
    ? (subtle as unknown as KemCrypto)
    : null;
}

async function fallback() {
  const { ml_kem768 } = await import("@noble/post-quantum/ml-kem.js");
  return ml_kem768;
}

/** @param random for the seed where WebCrypto has no ML-KEM. */
export async function generateKem(random: RandomBytes): Promise<KemKey> {
  const subtle = native();
  if (!subtle) return await kemFromSeed(random(KEM_SEED_BYTES));
  const pair = await subtle.generateKey(NAME, false, ["decapsulateBits"]);
  const exported = await subtle.exportKey("raw-public", pair.publicKey);
  return { secret: pair.privateKey, public: new Uint8Array(exported) };
}

export async function kemFromSeed(seed: Bytes): Promise<KemKey> {
  const { publicKey } = (await fallback()).keygen(seed);
  return { secret: seed, public: concat(publicKey) };
}

export const encapsulate: Encapsulate = async (publicKey) => {
  const subtle = native();
  if (!subtle) {
    const { sharedSecret, cipherText } = (await fallback()).encapsulate(publicKey);
    return { shared: concat(sharedSecret), ciphertext: concat(cipherText) };
  }
  const key = await subtle.importKey("raw-public", publicKey, NAME, true, ["encapsulateBits"]);
  const { sharedKey, ciphertext } = await subtle.encapsulateBits(NAME, key);
  return { shared: new Uint8Array(sharedKey), ciphertext: new Uint8Array(ciphertext) };
};

/** The shared secret, 32 bytes; of a ciphertext that was changed, another one. */
export async function decapsulate(key: KemKey, ciphertext: Bytes): Promise<Bytes> {
  if (ciphertext.length !== KEM_CIPHERTEXT_BYTES) {
    throw new RangeError(`a ciphertext has ${KEM_CIPHERTEXT_BYTES} bytes`);
  }
  if (key.secret instanceof Uint8Array) {
    const kem = await fallback();
    return concat(kem.decapsulate(ciphertext, kem.keygen(key.secret).secretKey));
  }
  const subtle = native();
  if (!subtle) throw new Error("a key of WebCrypto's ML-KEM where there is none");
  return new Uint8Array(await subtle.decapsulateBits(NAME, key.secret, ciphertext));
}

/** The input check of FIPS 203, 7.2: the length, and every coefficient below the modulus. */
export function isEncapsulationKey(key: Uint8Array): boolean {
  if (key.length !== KEM_PUBLIC_BYTES) return false;
  for (let at = 0; at < ENCODED_VECTOR_BYTES; at += 3) {
    const [first, middle, last] = [key[at]!, key[at + 1]!, key[at + 2]!];
    if ((first | ((middle & 15) << 8)) >= MODULUS) return false;
    if (((middle >> 4) | (last << 4)) >= MODULUS) return false;
  }
  return true;
}
