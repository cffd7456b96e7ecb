import { describe, expect, test } from "vitest";
import { type Bytes, concat, fromHex, hex } from "../wire/bytes";
import { BadRecord } from "../wire/errors";
import {
  KIND_DEVICE,
  KIND_DEVICE_LIST,
  parseUserRecord,
  type UserRecord,
  userRecordKey,
} from "../wire/user-record";
import { makeAgreementKey, makeSigningKey, points } from "./crypto";
import { makeDeviceKeys } from "./device";
import { keptPrekeys, listedUntil, makePrekey, type Prekey, rotation } from "./prekeys";
import {
  MAX_DEVICES,
  nextSequence,
  parseDeviceList,
  parseDeviceRecord,
  recordExpiryHours,
  signDeviceList,
  signDeviceRecord,
} from "./records";
import { DAY, generateIdentity, NOW, Person } from "./testing/person";
import { load, rejection } from "./testing/vectors";

const EXPIRES_HOURS = recordExpiryHours(NOW);
const SIGNING = { sequence: BigInt(NOW), expiresHours: EXPIRES_HOURS };

interface WrittenRecord {
  readonly sequence: number;
  readonly expires_hours: number;
  readonly key: string;
  readonly encoded: string;
}

interface Taken {
  readonly about: string;
  readonly taken: boolean;
}

const given = load<{
  identity: { public: string };
  device_id: string;
  device_key: { public: string };
  inbox_key: { public: string };
  requests_key: { public: string };
  requests_mailbox: string;
  device_list: WrittenRecord & { devices: readonly [string, number][] };
  device_record: WrittenRecord & { prekey_id: number; prekey: string; kem_prekey: string };
  /** `changes`: where in the payload of device_record, how many bytes go, what comes there. */
  device_payloads: readonly (Taken & { changes: readonly [number, number, string][] })[];
  list_payloads: readonly (Taken & { payload: string })[];
}>("e2ee/devices.json");

async function parsed(written: WrittenRecord): Promise<UserRecord> {
  const record = await parseUserRecord(fromHex(written.encoded), points);
  expect(record.sequence).toBe(BigInt(written.sequence));
  expect(record.expiresHours).toBe(written.expires_hours);
  expect(hex(record.identity)).toBe(given.identity.public);
  expect(hex(await userRecordKey(record.kind, record.identity, record.device))).toBe(written.key);
  return record;
}

async function expectTaken(taken: boolean, parsing: Promise<unknown>): Promise<void> {
  if (taken) await expect(parsing).resolves.toBeDefined();
  else await expect(parsing).rejects.toBeInstanceOf(BadRecord);
}

describe("vectors", () => {
  test("the device list", async () => {
    const { devices } = await parseDeviceList(await parsed(given.device_list));
    const found = devices.map(({ device, addedHours }) => [hex(device), addedHours]);
    expect(found).toEqual(given.device_list.devices);
  });

  test("the device record", async () => {
    const device = await parseDeviceRecord(await parsed(given.device_record));
    expect(hex(device.device)).toBe(given.device_id);
    expect(hex(device.deviceKey)).toBe(given.device_key.public);
    expect(hex(device.inboxKey)).toBe(given.inbox_key.public);
    expect(hex(device.requestsKey)).toBe(given.requests_key.public);
    expect(device.prekeyId).toBe(given.device_record.prekey_id);
    expect(hex(device.prekey)).toBe(given.device_record.prekey);
    expect(hex(device.kemPrekey)).toBe(given.device_record.kem_prekey);
    expect(hex(await device.requestsMailbox())).toBe(given.requests_mailbox);
  });

  test.each(given.device_payloads)("a device: $about", async ({ changes, taken }) => {
    const record = await parsed(given.device_record);
    let { payload } = record;
    for (const [at, count, bytes] of changes.toReversed()) {
      payload = concat(payload.slice(0, at), fromHex(bytes), payload.slice(at + count));
    }
    await expectTaken(taken, parseDeviceRecord({ ...record, payload }));
  });

  test.each(given.list_payloads)("a list: $about", async ({ payload, taken }) => {
    const record = await parsed(given.device_list);
    await expectTaken(taken, parseDeviceList({ ...record, payload: fromHex(payload) }));
  });
});

describe("what is signed is read", () => {
  test("a device list", async () => {
    const identity = await generateIdentity();
    const devices = Array.from({ length: MAX_DEVICES }, (_, at) => ({
      device: new Uint8Array(32).fill(at),
      addedHours: at,
    }));
    const encoded = await signDeviceList(identity, devices, SIGNING);
    const list = await parseDeviceList(await parseUserRecord(encoded, points));
    expect(list.devices).toEqual(devices);
    const nine = [...devices, { device: new Uint8Array(32).fill(9), addedHours: 0 }];
    for (const wrong of [nine, [devices[0]!, { ...devices[0]!, addedHours: 7 }]]) {
      const error = await rejection(signDeviceList(identity, wrong, SIGNING));
      expect(error).toBeInstanceOf(RangeError);
    }
  });

  test("a device record", async () => {
    const ann = await Person.make();
    const [prekey] = ann.prekeys.values();
    expect(ann.record.device).toEqual(ann.keys.id);
    expect(ann.record.identity).toEqual(ann.identity.point);
    expect(ann.record.prekey).toEqual(prekey?.agreement.point);
    expect(ann.record.kemPrekey).toEqual(prekey?.kemPublic);
  });
});

describe("refused", () => {
  async function record(kind: 1 | 2, payload: Bytes): Promise<UserRecord> {
    const { identity, device } = await parsed(given.device_record);
    return {
      kind,
      identity,
      device,
      sequence: 1n,
      expiresHours: 1,
      payload,
      encoded: payload,
      hash: payload,
    };
  }

  async function refusesList(payload: string): Promise<void> {
    const list = await record(KIND_DEVICE_LIST, fromHex(payload));
    expect(await rejection(parseDeviceList(list)), payload).toBeInstanceOf(BadRecord);
  }

  test("a record of the other kind", async () => {
    const list = parseDeviceList(await parsed(given.device_record));
    expect(await rejection(list)).toBeInstanceOf(BadRecord);
    const device = parseDeviceRecord(await parsed(given.device_list));
    expect(await rejection(device)).toBeInstanceOf(BadRecord);
  });

  test("device lists that are none", async () => {
    const entry = `92c420${"22".repeat(32)}01`;
    expect((await parseDeviceList(await record(1, fromHex(`920191${entry}`)))).devices).toEqual([
      { device: new Uint8Array(32).fill(0x22), addedHours: 1 },
    ]);
    await refusesList("");
    await refusesList("9101");
    await refusesList(`920291${entry}`);
    await refusesList(`920192${entry}${entry}`);
    await refusesList(`920191${entry}00`);
    await refusesList(`920191${entry.slice(0, -2)}c0`);
    const nine = Array.from({ length: 9 }, (_, at) => `92c420${`0${at}`.repeat(32)}01`);
    await refusesList(`920199${nine.join("")}`);
  });

  test("device records with keys that are none, or stand twice, or of another device", async () => {
    const [keys, identity] = [await makeDeviceKeys(), await generateIdentity()];
    const prekey = await makePrekey(1, { now: NOW, listedUntilHours: EXPIRES_HOURS });
    const noPoint = { ...keys.agreement, point: new Uint8Array(33) };
    const wrong: [typeof keys, Prekey][] = [
      [{ ...keys, agreement: noPoint }, prekey],
      [{ ...keys, inbox: noPoint }, prekey],
      [{ ...keys, requests: noPoint }, prekey],
      [keys, { ...prekey, agreement: noPoint }],
      [keys, { ...prekey, kemPublic: new Uint8Array(1184).fill(255) }],
      [{ ...keys, inbox: keys.agreement }, prekey],
      [{ ...keys, requests: identity }, prekey],
      [keys, { ...prekey, agreement: keys.inbox }],
      [{ ...keys, id: new Uint8Array(32) }, prekey],
      [{ ...keys, agreement: await makeAgreementKey() }, prekey],
    ];
    for (const [at, [otherKeys, otherPrekey]] of wrong.entries()) {
      const encoded = await signDeviceRecord(identity, otherKeys, otherPrekey, SIGNING);
      const signed = await parseUserRecord(encoded, points);
      expect(signed.kind).toBe(KIND_DEVICE);
      expect(await rejection(parseDeviceRecord(signed)), `${at}`).toBeInstanceOf(BadRecord);
    }
    const other = { ...keys, requests: await makeSigningKey() };
    const encoded = await signDeviceRecord(identity, other, prekey, SIGNING);
    const good = await parseUserRecord(encoded, points);
    expect((await parseDeviceRecord(good)).requestsKey).toEqual(other.requests.point);
    // The version, and the prekey id behind three keys of 35 bytes each.
    for (const [at, value] of [
      [1, 2],
      [2 + 3 * 35, 0],
    ] as const) {
      const payload = good.payload.slice();
      expect(payload[at]).toBe(1);
      payload[at] = value;
      const error = await rejection(parseDeviceRecord({ ...good, payload }));
      expect(error).toBeInstanceOf(BadRecord);
    }
  });
});

describe("when", () => {
  test("a record lives for 30 days, in whole hours", () => {
    expect(recordExpiryHours(3599.9)).toBe(720);
    expect(recordExpiryHours(3600)).toBe(721);
  });

  test("the sequence is above the last known one and above earlier seconds", () => {
    expect(nextSequence(0n, 1000.9)).toBe(1000n);
    expect(nextSequence(999n, 1000)).toBe(1000n);
    expect(nextSequence(1000n, 1000)).toBe(1001n);
    expect(nextSequence(5000n, 1000)).toBe(5001n);
  });

  test("prekeys change daily, and after a week before anything else", async () => {
    const prekey = await makePrekey(1, { now: NOW + 0.5, listedUntilHours: EXPIRES_HOURS });
    expect(prekey.madeSeconds).toBe(NOW);
    expect(rotation(null, NOW)).toBe("overdue");
    const cases = {
      [DAY - 1]: "not-yet",
      [DAY]: "due",
      [7 * DAY - 1]: "due",
      [7 * DAY]: "overdue",
    };
    for (const [age, expected] of Object.entries(cases)) {
      expect(rotation(prekey, NOW + Number(age))).toBe(expected);
    }
    // Clocks that were set back: by a little nothing, by more than a day a change.
    expect(rotation(prekey, NOW - DAY)).toBe("not-yet");
    expect(rotation(prekey, NOW - DAY - 1)).toBe("due");
  });

  test("their private halves stay for 30 days after the last record, and 128 at most", async () => {
    const made = await makePrekey(1, { now: NOW, listedUntilHours: NOW / 3600 });
    const listed = listedUntil(made, NOW / 3600 + 24);
    expect(listedUntil(listed, 5)).toEqual(listed);
    const end = NOW + 31 * DAY;
    expect(keptPrekeys([listed], end - 1)).toEqual([listed]);
    expect(keptPrekeys([listed], end)).toEqual([]);
    const many = Array.from({ length: 130 }, (_, id) => ({ ...listed, id }));
    const kept = keptPrekeys(many, NOW).map(({ id }) => id);
    expect([kept.length, kept[0], kept.at(-1)]).toEqual([128, 129, 2]);
  });
});
