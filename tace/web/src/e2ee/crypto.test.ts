import { describe, expect, test } from "vitest";
import { type Bytes, concat, fromHex, hex, utf8 } from "../wire/bytes";
import {
  aeadOpen,
  aeadSeal,
  agree,
  compress,
  hkdf,
  makeAgreementKey,
  makeSigningKey,
  NotAPoint,
  points,
  sign,
  verify,
  WrongKeyOrData,
} from "./crypto";
import { E2eeLabel } from "./labels";
import { checkKemPublic, decapsulate, encapsulate, kemPairFromSeed, NotAKemValue } from "./mlkem";
import { keyFromScalar, scalarFromSeed } from "./scalar";
import { changed, load, rejection } from "./testing/vectors";

describe("agreement", () => {
  interface Case {
    readonly tcId: number;
    readonly public: string;
    readonly private: string;
    readonly shared: string;
    readonly result: string;
  }

  /** 32 bytes of a number that may be written with leading zeros, or without. */
  function scalar(written: string): Bytes {
    return fromHex(written.slice(-64).padStart(64, "0"));
  }

  test("Wycheproof: edge cases agree; other curves, encodings and lengths are refused", async () => {
    let [agreed, refused] = [0, 0];
    const { cases } = load<{ cases: readonly Case[] }>(
      "external/wycheproof-ecdh-secp256r1-ecpoint.json",
    );
    for (const { tcId, private: secret, public: written, shared, result } of cases) {
      const key = await keyFromScalar(scalar(secret), "agree");
      const point = fromHex(written);
      if (result === "invalid") {
        refused += 1;
        expect(await rejection(agree(key, point)), `case ${tcId}`).toBeInstanceOf(NotAPoint);
        continue;
      }
      agreed += 1;
      // The protocol carries compressed points.
      const taken = result === "valid" ? compress(point) : point;
      expect(hex(await agree(key, taken)), `case ${tcId}`).toBe(shared);
    }
    expect([agreed, refused]).toEqual([331, 24]);
  });

  test("both sides agree; private keys cannot be read out and are for one purpose", async () => {
    const [ann, ben] = [await makeAgreementKey(), await makeAgreementKey()];
    expect(await agree(ann, ben.point)).toEqual(await agree(ben, ann.point));
    const signing = await makeSigningKey();
    for (const { privateKey, point } of [ann, ben, signing]) {
      expect(privateKey.extractable).toBe(false);
      const [form] = point;
      expect([point.length, form === 2 || form === 3]).toEqual([33, true]);
      expect(await rejection(crypto.subtle.exportKey("pkcs8", privateKey))).toBeInstanceOf(Error);
    }
    expect(ann.privateKey.usages).toEqual(["deriveBits"]);
    expect(signing.privateKey.usages).toEqual(["sign"]);
  });

  test("a point is 33 bytes; other encodings are refused", async () => {
    const { point } = await makeAgreementKey();
    const whole = await points.uncompress(point);
    expect(compress(whole)).toEqual(point);
    const hybrid = concat(Uint8Array.of(6), whole.subarray(1));
    for (const wrong of [
      whole,
      hybrid,
      new Uint8Array(),
      Uint8Array.of(0),
      concat(point, Uint8Array.of(0)),
    ]) {
      expect(await rejection(Promise.resolve(points.uncompress(wrong)))).toBeInstanceOf(NotAPoint);
    }
  });

  test("a scalar is from 1 to the order less one", () => {
    // The order n without its last byte, which is 0x51.
    const head = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc6325".padStart(94, "0");
    const scalarOf = (last: string) => hex(scalarFromSeed(fromHex(head + last)));
    const one = "1".padStart(64, "0");
    expect(hex(scalarFromSeed(new Uint8Array(48)))).toBe(one);
    expect(scalarOf("4f")).toBe(`${head.slice(32)}50`);
    expect(scalarOf("50")).toBe(one);
    expect(() => scalarFromSeed(new Uint8Array(32))).toThrow(RangeError);
  });
});

describe("signatures", () => {
  test("are of one key, one label and these bytes; nothing else verifies, and nothing throws", async () => {
    const [key, other] = [await makeSigningKey(), await makeSigningKey()];
    const message = concat(utf8(E2eeLabel.CERTIFICATE), utf8("text"));
    const signature = await sign(key, E2eeLabel.CERTIFICATE, utf8("te"), utf8("xt"));
    expect(signature).toHaveLength(64);
    expect(await verify(key.point, signature, message)).toBe(true);
    expect(await verify(other.point, signature, message)).toBe(false);
    expect(await verify(key.point, signature, utf8("text"))).toBe(false);
    expect(await verify(key.point, changed(signature, 40), message)).toBe(false);
    for (const wrong of [new Uint8Array(), new Uint8Array(64), signature.subarray(1)]) {
      expect(await verify(key.point, wrong, message)).toBe(false);
    }
    expect(await verify(new Uint8Array(33), signature, message)).toBe(false);
  });
});

describe("symmetric", () => {
  test("HKDF: the first case of RFC 5869, and an empty salt", async () => {
    const salt = fromHex("000102030405060708090a0b0c");
    const info = fromHex("f0f1f2f3f4f5f6f7f8f9");
    const derived = await hkdf(new Uint8Array(22).fill(11), { salt, info, length: 42 });
    expect(hex(derived)).toBe(
      "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    );
    const nothing = new Uint8Array();
    const unsalted = { salt: nothing, info, length: 32 };
    const zeros = { salt: new Uint8Array(32), info, length: 32 };
    expect(await hkdf(info, unsalted)).toEqual(await hkdf(info, zeros));
  });

  test("AES-GCM opens what was sealed, and nothing that was changed", async () => {
    const [key, nonce] = [new Uint8Array(32).fill(1), new Uint8Array(12).fill(2)];
    const sealed = await aeadSeal(key, nonce, utf8("text"), utf8("bound"));
    expect(sealed).toHaveLength(20);
    expect(await aeadOpen(key, nonce, sealed, utf8("bound"))).toEqual(utf8("text"));
    const wrong: Parameters<typeof aeadOpen>[] = [
      [key, nonce, sealed, utf8("other")],
      [changed(key, 0), nonce, sealed, utf8("bound")],
      [key, changed(nonce, 0), sealed, utf8("bound")],
      [key, nonce, changed(sealed, 3), utf8("bound")],
      [key, nonce, sealed.slice(0, 15), utf8("bound")],
      [key, nonce, new Uint8Array(), utf8("bound")],
    ];
    for (const given of wrong) {
      expect(await rejection(aeadOpen(...given))).toBeInstanceOf(WrongKeyOrData);
    }
  });
});

describe("ML-KEM-768", () => {
  interface Case {
    readonly seed: string;
    readonly ek: string;
    readonly c: string;
    readonly K: string;
    readonly result: string;
  }

  test("Wycheproof: keys from seeds, secrets from ciphertexts, wrong lengths", async () => {
    let [opened, refused] = [0, 0];
    const { cases } = load<{ cases: readonly Case[] }>("external/wycheproof-mlkem-768.json");
    for (const { seed, ek, c, K, result } of cases) {
      const { privateKey, publicKey } = await kemPairFromSeed(fromHex(seed));
      expect(hex(publicKey)).toBe(ek);
      if (result === "valid") {
        opened += 1;
        expect(hex(await decapsulate(privateKey, fromHex(c)))).toBe(K);
      } else {
        refused += 1;
        const error = await rejection(decapsulate(privateKey, fromHex(c)));
        expect(error).toBeInstanceOf(NotAKemValue);
      }
    }
    expect([opened, refused]).toEqual([4, 2]);
  });

  test("both sides reach one secret; a changed ciphertext gives another, and no error", async () => {
    const { privateKey, publicKey } = await kemPairFromSeed(new Uint8Array(64).fill(3));
    const { shared, ciphertext } = await encapsulate(publicKey);
    expect(await decapsulate(privateKey, ciphertext)).toEqual(shared);
    expect(await decapsulate(privateKey, changed(ciphertext, 500))).not.toEqual(shared);
  });

  test("a key with a number that is not below the modulus is none (FIPS 203, 7.2)", async () => {
    const { publicKey } = await kemPairFromSeed(new Uint8Array(64).fill(4));
    const cases: [number, number[], boolean][] = [
      [0, [0x00, 0x0d], true], // 3328, as the lower of two numbers
      [0, [0x01, 0x0d], false], // 3329
      [1149, [0xff, 0xff], false],
      [1150, [0x00, 0xd0], true], // 3328 as the upper
      [1150, [0x10, 0xd0], false], // 3329
      [1152, [0xff, 0xff], true], // rho is any 32 bytes
    ];
    for (const [at, written, isKey] of cases) {
      const key = publicKey.slice();
      // The numbers beside it are made small, so that they decide nothing.
      key.fill(0, Math.floor(at / 3) * 3, Math.floor(at / 3) * 3 + 3);
      key.set(written, at);
      const checked = checkKemPublic(key).then(
        () => true,
        (error) => !(error instanceof NotAKemValue),
      );
      expect(await checked, `${at}: ${written}`).toBe(isKey);
    }
    for (const wrong of [new Uint8Array(), publicKey.slice(1), new Uint8Array(1184).fill(255)]) {
      expect(await rejection(encapsulate(wrong))).toBeInstanceOf(NotAKemValue);
    }
  });
});
