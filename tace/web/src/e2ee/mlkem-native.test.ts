/** Whose ML-KEM is taken: the browser's where it works, here played by the one in JavaScript. */

import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { afterEach, expect, test, vi } from "vitest";
import { type Bytes, concat } from "../wire/bytes";
import { decapsulate, encapsulate, makeKemPair, NotAKemValue } from "./mlkem";
import { rejection } from "./testing/vectors";

/** A key as a browser hands it out: a thing of its own, that cannot be read. */
class FakeKey {
  #bytes: Bytes;

  constructor(bytes: Uint8Array) {
    this.#bytes = concat(bytes);
  }

  static read(key: FakeKey): Bytes {
    return key.#bytes;
  }
}

/** What browsers that have ML-KEM in WebCrypto offer. */
class FakeSubtle {
  async generateKey(name: string, extractable: boolean): Promise<object> {
    expect([name, extractable]).toEqual(["ML-KEM-768", false]);
    const { publicKey, secretKey } = ml_kem768.keygen();
    return { publicKey: new FakeKey(publicKey), privateKey: new FakeKey(secretKey) };
  }

  async exportKey(format: string, key: FakeKey): Promise<ArrayBuffer> {
    expect(format).toBe("raw-public");
    return FakeKey.read(key).buffer;
  }

  async importKey(_format: string, key: Bytes): Promise<FakeKey> {
    return new FakeKey(key);
  }

  async encapsulateBits(_name: string, key: FakeKey): Promise<object> {
    const { sharedSecret, cipherText } = ml_kem768.encapsulate(FakeKey.read(key));
    return { sharedKey: concat(sharedSecret).buffer, ciphertext: concat(cipherText).buffer };
  }

  async decapsulateBits(_name: string, key: FakeKey, ciphertext: Bytes): Promise<ArrayBuffer> {
    return concat(ml_kem768.decapsulate(ciphertext, FakeKey.read(key))).buffer;
  }
}

const real = globalThis.crypto;

function browserWith(subtle: object): void {
  vi.stubGlobal("crypto", {
    subtle,
    getRandomValues: (bytes: Bytes) => real.getRandomValues(bytes),
  });
}

afterEach(() => {
  vi.unstubAllGlobals();
});

test("the browser's: its private half is a key, and both sides reach one secret", async () => {
  browserWith(new FakeSubtle());
  const { privateKey, publicKey } = await makeKemPair();
  expect(privateKey).toBeInstanceOf(FakeKey);
  expect(publicKey).toHaveLength(1184);
  const { shared, ciphertext } = await encapsulate(publicKey);
  expect(shared).toHaveLength(32);
  expect(await decapsulate(privateKey, ciphertext)).toEqual(shared);
  expect(await rejection(encapsulate(new Uint8Array(1184).fill(255)))).toBeInstanceOf(NotAKemValue);
});

test("a browser that lost its own has lost the keys it made", async () => {
  browserWith(new FakeSubtle());
  const { privateKey, publicKey } = await makeKemPair();
  const { ciphertext } = await encapsulate(publicKey);
  browserWith({});
  expect(await rejection(decapsulate(privateKey, ciphertext))).toBeInstanceOf(NotAKemValue);
});

test("a seed where there is none, or it does not work, or its keys cannot be kept", async () => {
  const unusable = [
    {},
    Object.assign(new FakeSubtle(), { generateKey: () => Promise.reject(new TypeError()) }),
    Object.assign(new FakeSubtle(), { exportKey: async () => new ArrayBuffer(32) }),
    Object.assign(new FakeSubtle(), {
      generateKey: async () => ({
        publicKey: new FakeKey(new Uint8Array(1184)),
        privateKey: () => 0,
      }),
    }),
  ];
  for (const subtle of unusable) {
    browserWith(subtle);
    const { privateKey, publicKey } = await makeKemPair();
    expect(privateKey).toBeInstanceOf(Uint8Array);
    expect(privateKey).toHaveLength(64);
    const { shared, ciphertext } = await encapsulate(publicKey);
    expect(await decapsulate(privateKey, ciphertext)).toEqual(shared);
  }
});
