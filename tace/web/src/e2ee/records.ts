/**
 * What the payload of a user record holds: the device list (kind 1) and one device (kind 2).
 *
 * The identity signs the whole record ("../wire/user-record"), so every key in it is signed.
 */

import { type Bytes, equal, hex } from "../wire/bytes";
import { BadRecord, ProtocolError } from "../wire/errors";
import {
  bytes,
  bytes32,
  type Field,
  list,
  NotAsDeclared,
  publicKey,
  type Shape,
  structure,
  u8,
  u32,
  type Values,
} from "../wire/fields";
import { decodeBody, encodeBody } from "../wire/message";
import { KIND_REQUESTS, mailboxId } from "../wire/objects";
import {
  KIND_DEVICE,
  KIND_DEVICE_LIST,
  signUserRecord,
  type UserRecord,
} from "../wire/user-record";
import { checkPoint, NotAPoint } from "./crypto";
import { type DeviceKeys, deviceId, MAX_LIFETIME_DAYS } from "./device";
import { checkKemPublic, KEM_PUBLIC_BYTES, NotAKemValue } from "./mlkem";
import type { Prekey } from "./prekeys";
import type { IdentityKey } from "./recovery";

const PAYLOAD_VERSION = 1;
export const MAX_DEVICES = 8;

const prekeyId: Field<number> = {
  ...u32,
  read(value) {
    const id = u32.read(value);
    if (id === 0) throw new NotAsDeclared("prekey ids begin at 1");
    return id;
  },
};
const listPayload = {
  version: u8,
  devices: list(structure({ device: bytes32, addedHours: u32 }), MAX_DEVICES),
};
const devicePayload = {
  version: u8,
  deviceKey: publicKey,
  inboxKey: publicKey,
  requestsKey: publicKey,
  prekeyId,
  prekey: publicKey,
  kemPrekey: bytes(KEM_PUBLIC_BYTES),
};

export interface ListedDevice {
  readonly device: Bytes;
  readonly addedHours: number;
}

/** A verified record of kind 1. */
export interface DeviceList {
  readonly record: UserRecord;
  readonly devices: readonly ListedDevice[];
}

/** A verified record of kind 2: everything needed to write to one device. */
export interface DeviceRecord {
  readonly record: UserRecord;
  readonly identity: Bytes;
  readonly device: Bytes;
  readonly deviceKey: Bytes;
  readonly inboxKey: Bytes;
  readonly requestsKey: Bytes;
  readonly prekeyId: number;
  readonly prekey: Bytes;
  readonly kemPrekey: Bytes;
  requestsMailbox(): Promise<Bytes>;
}

/** When a record that is signed at `now` (unix seconds) ends: 30 days on, in hours since 1970. */
export function recordExpiryHours(now: number): number {
  return Math.floor(now / 3600) + MAX_LIFETIME_DAYS * 24;
}

/**
 * The sequence for a new record: above the last one known, and above all earlier seconds, so that
 * an identity that was restored from its code, and remembers nothing, outdoes what it once signed.
 */
export function nextSequence(known: bigint, now: number): bigint {
  const seconds = BigInt(Math.floor(now));
  return known + 1n > seconds ? known + 1n : seconds;
}

export interface Signing {
  readonly sequence: bigint;
  readonly expiresHours: number;
}

/** @throws RangeError more than 8 devices, or one of them twice. */
export async function signDeviceList(
  identity: IdentityKey,
  devices: readonly ListedDevice[],
  { sequence, expiresHours }: Signing,
): Promise<Bytes> {
  if (devices.length > MAX_DEVICES || isTwice(devices)) throw new RangeError("no device list");
  return await signUserRecord(identity.privateKey, {
    kind: KIND_DEVICE_LIST,
    identity: identity.point,
    device: new Uint8Array(32),
    sequence,
    expiresHours,
    payload: encoded(listPayload, { version: PAYLOAD_VERSION, devices }),
  });
}

/** @throws BadRecord not a device list. */
export async function parseDeviceList(record: UserRecord): Promise<DeviceList> {
  if (record.kind !== KIND_DEVICE_LIST) throw new BadRecord("not a device list");
  const { version, devices } = decoded("device list", listPayload, record.payload);
  if (version !== PAYLOAD_VERSION) throw new BadRecord(`device list version ${version}`);
  if (isTwice(devices)) throw new BadRecord("a device is listed twice");
  return { record, devices };
}

export async function signDeviceRecord(
  identity: IdentityKey,
  keys: Pick<DeviceKeys, "id" | "agreement" | "inbox" | "requests">,
  prekey: Pick<Prekey, "id" | "agreement" | "kemPublic">,
  { sequence, expiresHours }: Signing,
): Promise<Bytes> {
  return await signUserRecord(identity.privateKey, {
    kind: KIND_DEVICE,
    identity: identity.point,
    device: keys.id,
    sequence,
    expiresHours,
    payload: encoded(devicePayload, {
      version: PAYLOAD_VERSION,
      deviceKey: keys.agreement.point,
      inboxKey: keys.inbox.point,
      requestsKey: keys.requests.point,
      prekeyId: prekey.id,
      prekey: prekey.agreement.point,
      kemPrekey: prekey.kemPublic,
    }),
  });
}

/** @throws BadRecord not a device record. */
export async function parseDeviceRecord(record: UserRecord): Promise<DeviceRecord> {
  if (record.kind !== KIND_DEVICE) throw new BadRecord("not a device record");
  const { version, ...device } = decoded("device record", devicePayload, record.payload);
  if (version !== PAYLOAD_VERSION) throw new BadRecord(`device record version ${version}`);
  const keys = [device.deviceKey, device.inboxKey, device.requestsKey, device.prekey];
  try {
    for (const key of keys) await checkPoint(key);
    await checkKemPublic(device.kemPrekey);
  } catch (error) {
    if (error instanceof NotAPoint || error instanceof NotAKemValue) {
      throw new BadRecord("a key in the device record is none");
    }
    throw error;
  }
  if (new Set([record.identity, ...keys].map(hex)).size !== keys.length + 1) {
    throw new BadRecord("one key stands for two purposes in the device record");
  }
  if (!equal(record.device, await deviceId(device.deviceKey))) {
    throw new BadRecord("the device id is not the hash of the device key");
  }
  return {
    record,
    identity: record.identity,
    device: record.device,
    ...device,
    requestsMailbox: () => mailboxId(device.requestsKey, KIND_REQUESTS),
  };
}

function isTwice(devices: readonly ListedDevice[]): boolean {
  return new Set(devices.map((listed) => hex(listed.device))).size !== devices.length;
}

function encoded<S extends Shape>(shape: S, values: Values<S>): Bytes {
  return encodeBody({ name: "record", number: 0, fields: structure(shape) }, values);
}

function decoded<S extends Shape>(name: string, shape: S, payload: Bytes): Values<S> {
  try {
    return decodeBody(name, structure(shape), payload);
  } catch (error) {
    if (error instanceof ProtocolError) throw new BadRecord(error.message);
    throw error;
  }
}
