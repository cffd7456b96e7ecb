import { describe, expect, test } from "vitest";
import { type Bytes, concat, fromHex, hex } from "../wire/bytes";
import { Malformed } from "../wire/errors";
import { u32Bytes } from "../wire/layout";
import { KIND_CONTACTS, KIND_REQUESTS, mailboxId } from "../wire/objects";
import { type KeyPair, makeAgreementKey, sign } from "./crypto";
import {
  certificateHolds,
  deviceId,
  makeDeviceKeys,
  parseCertificate,
  signCertificate,
} from "./device";
import { E2eeLabel } from "./labels";
import { generateIdentity } from "./testing/person";
import { changed, load, rejection } from "./testing/vectors";

const NOW = 1_800_000_000;
const DAY = 24 * 3600;

test("the vectors' device: id, mailboxes, certificate", async () => {
  const given = load<{
    identity: { public: string };
    device_key: { public: string };
    inbox_key: { public: string };
    requests_key: { public: string };
    contacts_key: { public: string };
    device_id: string;
    requests_mailbox: string;
    contacts_mailbox: string;
    certificate: { expires_hours: number; encoded: string };
  }>("e2ee/devices.json");
  expect(hex(await deviceId(fromHex(given.device_key.public)))).toBe(given.device_id);
  const requests = await mailboxId(fromHex(given.requests_key.public), KIND_REQUESTS);
  const contacts = await mailboxId(fromHex(given.contacts_key.public), KIND_CONTACTS);
  expect(hex(requests)).toBe(given.requests_mailbox);
  expect(hex(contacts)).toBe(given.contacts_mailbox);
  const certificate = await parseCertificate(fromHex(given.certificate.encoded));
  expect({
    identity: hex(certificate.identity),
    deviceKey: hex(certificate.deviceKey),
    inboxKey: hex(certificate.inboxKey),
    expiresHours: certificate.expiresHours,
    encoded: hex(certificate.encoded),
  }).toEqual({
    identity: given.identity.public,
    deviceKey: given.device_key.public,
    inboxKey: given.inbox_key.public,
    expiresHours: given.certificate.expires_hours,
    encoded: given.certificate.encoded,
  });
});

test("device keys are four, none of which can be read out", async () => {
  const keys = await makeDeviceKeys();
  expect(keys.id).toEqual(await deviceId(keys.agreement.point));
  const all = [keys.agreement, keys.inbox, keys.requests, keys.contacts];
  expect(new Set(all.map(({ point }) => hex(point))).size).toBe(4);
  expect(all.map(({ privateKey }) => privateKey.extractable)).toEqual(Array(4).fill(false));
  expect(all.map(({ privateKey }) => privateKey.algorithm.name)).toEqual([
    "ECDH",
    "ECDH",
    "ECDSA",
    "ECDSA",
  ]);
});

describe("certificates", () => {
  async function signed(identity: KeyPair, deviceKey: Bytes, inboxKey: Bytes): Promise<Bytes> {
    const body = concat(identity.point, deviceKey, inboxKey, u32Bytes(500_720));
    return concat(body, await sign(identity, E2eeLabel.CERTIFICATE, body));
  }

  test("what is signed is read", async () => {
    const [identity, keys] = [await generateIdentity(), await makeDeviceKeys()];
    const certificate = await signCertificate(identity, keys, 500_720);
    expect(await parseCertificate(certificate.encoded)).toEqual(certificate);
  });

  test("one that was changed or cut is refused, wherever it was", async () => {
    const [identity, keys] = [await generateIdentity(), await makeDeviceKeys()];
    const { encoded } = await signCertificate(identity, keys, 500_720);
    for (let at = 0; at < encoded.length; at += 1) {
      const error = await rejection(parseCertificate(changed(encoded, at, at % 8)));
      expect(error).toBeInstanceOf(Malformed);
    }
    for (const wrong of [new Uint8Array(), encoded.slice(1), concat(encoded, Uint8Array.of(0))]) {
      expect(await rejection(parseCertificate(wrong))).toBeInstanceOf(Malformed);
    }
  });

  test("one key for two purposes, or no point, is refused though it is signed", async () => {
    const identity = await generateIdentity();
    const [one, other] = [(await makeAgreementKey()).point, (await makeAgreementKey()).point];
    expect((await parseCertificate(await signed(identity, one, other))).deviceKey).toEqual(one);
    const wrong = [
      await signed(identity, one, one),
      await signed(identity, identity.point, other),
      await signed(identity, one, identity.point),
      await signed(identity, one, new Uint8Array(33)),
      await signed(identity, concat(Uint8Array.of(2), new Uint8Array(32).fill(0xff)), other),
    ];
    for (const encoded of wrong) {
      expect(await rejection(parseCertificate(encoded))).toBeInstanceOf(Malformed);
    }
  });

  test("one holds from 31 days before its end to 30 days after it", async () => {
    const keys = await makeDeviceKeys();
    const certificate = await signCertificate(await generateIdentity(), keys, NOW / 3600);
    const cases: [number, boolean][] = [
      [NOW - 31 * DAY - 1, false],
      [NOW - 31 * DAY, true],
      [NOW, true],
      [NOW + 30 * DAY, true],
      [NOW + 30 * DAY + 1, false],
    ];
    for (const [now, holds] of cases) expect(certificateHolds(certificate, now)).toBe(holds);
  });
});
