/** What lies around a ratchet message: the inner message, its padding, the seal, the stamp. */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Bytes, concat, fromHex, hex, utf8 } from "../wire/bytes";
import { Malformed } from "../wire/errors";
import { lockOf, parseEnvelope, stampBits } from "../wire/objects";
import { makeAgreementKey, NotAPoint, type RandomBytes } from "./crypto";
import { INNER_BYTES, pad, parseInner, ROOM_IN_SESSION, ROOM_WITH_HANDSHAKE, unpad } from "./inner";
import { envelopeInfo, hpkeOpen, hpkeSeal, Junk, seal, unseal } from "./sealed";
import { stampSearch } from "./stamp";
import { changed, keyOf, load, rejection, type WrittenKey } from "./testing/vectors";

describe("the inner message", () => {
  test("its sizes are those of the specification", () => {
    expect([INNER_BYTES, ROOM_IN_SESSION, ROOM_WITH_HANDSHAKE]).toEqual([3455, 3298, 2070]);
  });

  test("other lengths and types are refused", async () => {
    const good = concat(Uint8Array.of(1), new Uint8Array(INNER_BYTES - 1));
    expect((await parseInner(good)).message).toHaveLength(INNER_BYTES - 66);
    const start = concat(Uint8Array.of(2), new Uint8Array(INNER_BYTES - 1));
    expect((await parseInner(start)).handshake).toHaveLength(1293);
    const wrong = [new Uint8Array(), good.slice(1), concat(good, Uint8Array.of(0))];
    for (const type of [0, 3, 255]) wrong.push(concat(Uint8Array.of(type), good.slice(1)));
    for (const encoded of wrong) {
      expect(await rejection(parseInner(encoded))).toBeInstanceOf(Malformed);
    }
  });

  test("whatever is padded comes out again, at one length", () => {
    const content = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(content, (bytes) => {
        const padded = pad(concat(bytes), 200);
        expect(padded).toHaveLength(202);
        expect(unpad(padded)).toEqual(concat(bytes));
      }),
      { seed: 1, numRuns: 200 },
    );
    expect(() => pad(new Uint8Array(201), 200)).toThrow(RangeError);
  });

  test("a length that does not fit, and anything but zeros, are refused", () => {
    const wrong = ["", "00", "0003ffff", "ffff", "000001", "0001ff01", "0000000001"];
    for (const padded of wrong) expect(() => unpad(fromHex(padded))).toThrow(Malformed);
    expect(unpad(fromHex("0000"))).toEqual(new Uint8Array());
  });
});

describe("the seal", () => {
  const given = load<{
    network_id: string;
    inbox_key: WrittenKey;
    mailbox: string;
    expires_hours: number;
    secret: string;
    lock: string;
    info: string;
    inner: string;
    envelope: string;
    envelope_id: string;
    headers_that_do_not_open: Readonly<Record<string, string>>;
  }>("e2ee/sealed.json");
  const networkId = fromHex(given.network_id);

  test("the vectors' envelope opens", async () => {
    const envelope = await parseEnvelope(fromHex(given.envelope));
    const { mailbox, expiresHours, lock } = envelope;
    expect([hex(envelope.id), hex(mailbox), expiresHours, hex(lock)]).toEqual([
      given.envelope_id,
      given.mailbox,
      given.expires_hours,
      given.lock,
    ]);
    expect(hex(envelopeInfo(networkId, mailbox, expiresHours, lock))).toBe(given.info);
    const { secret, inner } = await unseal(envelope, await keyOf(given.inbox_key), networkId);
    expect([hex(secret), hex(inner)]).toEqual([given.secret, given.inner]);
  });

  test.each(Object.entries(given.headers_that_do_not_open))("not under: %s", async (_, header) => {
    const encoded = concat(fromHex(header), fromHex(given.envelope).subarray(78));
    const opening = unseal(await parseEnvelope(encoded), await keyOf(given.inbox_key), networkId);
    expect(await rejection(opening)).toBeInstanceOf(Junk);
  });

  test("RFC 9180's own case opens", async () => {
    const { cases } = load<{
      cases: readonly {
        info: string;
        skRm: string;
        enc: string;
        encryptions: readonly { aad: string; ct: string; pt: string }[];
      }[];
    }>("external/rfc9180-p256-base-aes256gcm.json");
    expect(cases).toHaveLength(1);
    const { info, skRm, enc, encryptions } = cases[0]!;
    const key = await keyOf({ scalar: skRm, public: "" });
    const [first] = encryptions;
    // The case binds associated data, which envelopes have none of: so it is opened by the parts.
    const { Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, HkdfSha256 } = await import("@hpke/core");
    const kem = new DhkemP256HkdfSha256();
    const suite = new CipherSuite({ kem, kdf: new HkdfSha256(), aead: new Aes256Gcm() });
    const recipient = await suite.createRecipientContext({
      recipientKey: { privateKey: key.privateKey, publicKey: await publicKeyOf(key.point) },
      enc: fromHex(enc).buffer,
      info: fromHex(info).buffer,
    });
    const opened = await recipient.open(fromHex(first!.ct).buffer, fromHex(first!.aad).buffer);
    expect(hex(new Uint8Array(opened))).toBe(first!.pt);
  });

  const random: RandomBytes = (count) => crypto.getRandomValues(new Uint8Array(count));

  async function sealed(inboxKey: Bytes) {
    const inner = random(INNER_BYTES);
    const mailbox = concat(random(31), Uint8Array.of(2));
    const address = { inboxKey, networkId, mailbox, expiresHours: 500_000, random };
    return { inner, mailbox, envelope: await seal(inner, address) };
  }

  test("what is sealed opens at its inbox, in its network, and nowhere else", async () => {
    const [inbox, other] = [await makeAgreementKey(), await makeAgreementKey()];
    const { inner, mailbox, envelope } = await sealed(inbox.point);
    expect(envelope.encoded).toHaveLength(3630);
    expect([envelope.mailbox, envelope.expiresHours]).toEqual([mailbox, 500_000]);
    const opened = await unseal(envelope, inbox, networkId);
    expect(opened.inner).toEqual(inner);
    expect(await lockOf(opened.secret)).toEqual(envelope.lock);
    for (const opening of [
      () => unseal(envelope, other, networkId),
      () => unseal(envelope, inbox, changed(networkId, 0)),
      () => unseal({ ...envelope, blob: changed(envelope.blob, -1) }, inbox, networkId),
      () => unseal({ ...envelope, blob: changed(envelope.blob, 0) }, inbox, networkId),
      () => unseal({ ...envelope, blob: changed(envelope.blob, 20) }, inbox, networkId),
      () => unseal({ ...envelope, blob: new Uint8Array(3552) }, inbox, networkId),
    ]) {
      expect(await rejection(opening())).toBeInstanceOf(Junk);
    }
  });

  test("a blob that holds another lock's secret is junk", async () => {
    const inbox = await makeAgreementKey();
    const { inner, envelope } = await sealed(inbox.point);
    const { mailbox, expiresHours, lock } = envelope;
    const info = envelopeInfo(networkId, mailbox, expiresHours, lock);
    const blob = await hpkeSeal(inbox.point, info, concat(random(16), inner));
    expect(await hpkeOpen(inbox, info, blob)).toHaveLength(16 + INNER_BYTES);
    const opening = unseal({ ...envelope, blob }, inbox, networkId);
    expect(await rejection(opening)).toBeInstanceOf(Junk);
  });

  test("other lengths, and an inbox that is no key, are the caller's mistake", async () => {
    const inbox = await makeAgreementKey();
    const mailbox = new Uint8Array(32).fill(2);
    const address = { inboxKey: inbox.point, networkId, mailbox, expiresHours: 1, random };
    expect(await rejection(seal(new Uint8Array(10), address))).toBeInstanceOf(RangeError);
    const nobody = { ...address, inboxKey: new Uint8Array(33) };
    const error = await rejection(seal(new Uint8Array(INNER_BYTES), nobody));
    expect(error).toBeInstanceOf(NotAPoint);
  });

  test("a blob too short for anything is junk", async () => {
    const inbox = await makeAgreementKey();
    for (const blob of [new Uint8Array(), new Uint8Array(65), new Uint8Array(80)]) {
      expect(await rejection(hpkeOpen(inbox, utf8("info"), blob))).toBeInstanceOf(Junk);
    }
  });

  async function publicKeyOf(point: Bytes): Promise<CryptoKey> {
    const curve = { name: "ECDH", namedCurve: "P-256" };
    return await crypto.subtle.importKey("raw", point, curve, true, []);
  }
});

describe("the stamp", () => {
  const { cases } = load<{
    cases: readonly { id: string; target: number; nonce: number }[];
  }>("e2ee/stamp.json");

  test.each(cases)("$target bits: the nonce $nonce", async ({ id, target, nonce }) => {
    const found = [...stampSearch(fromHex(id), target)].at(-1);
    expect(found).toBe(BigInt(nonce));
    expect(await stampBits(fromHex(id), target, BigInt(nonce))).toBeGreaterThanOrEqual(target);
  });

  test("it can be left after every 2,048 hashes, and targets are one byte", () => {
    const search = stampSearch(new Uint8Array(32), 255);
    expect([search.next(), search.next()]).toEqual([
      { done: false, value: null },
      { done: false, value: null },
    ]);
    for (const target of [-1, 256, Number.NaN]) {
      expect(() => stampSearch(new Uint8Array(32), target).next()).toThrow(RangeError);
    }
  });
});
