/**
 * The signed user record that replicas keep (docs/protocol/peer.md, 6.5): a public frame around a
 * payload that is a matter between clients.
 */

import { type Bytes, compare, concat } from "./bytes";
import { digest, Label, labelled, type Points, sha256, sign } from "./digest";
import { BadRecord } from "./errors";
import { LayoutReader, u8Bytes, u16Bytes, u32Bytes, u64Bytes } from "./layout";

export const MAX_USER_RECORD_BYTES = 8 * 1024;
export const KIND_DEVICE_LIST = 1;
export const KIND_DEVICE = 2;
export type UserRecordKind = typeof KIND_DEVICE_LIST | typeof KIND_DEVICE;

const VERSION = 1;
const HEAD = 81;
const SIGNATURE = 64;
const MAX_PAYLOAD = MAX_USER_RECORD_BYTES - HEAD - SIGNATURE;

/** A verified user record. */
export interface UserRecord {
  readonly kind: UserRecordKind;
  readonly identity: Bytes;
  /** Zeros in a device list. */
  readonly device: Bytes;
  readonly sequence: bigint;
  readonly expiresHours: number;
  readonly payload: Bytes;
  readonly encoded: Bytes;
  /** SHA-256 of the whole record; decides between two of one sequence. */
  readonly hash: Bytes;
}

/** Where the record is kept: H("tace record 1" | kind | identity | device). */
export function userRecordKey(
  kind: UserRecordKind,
  identity: Uint8Array,
  device: Uint8Array = new Uint8Array(32),
): Promise<Bytes> {
  return digest(Label.userRecordKey, u8Bytes(kind), identity, device);
}

export interface UserRecordParts {
  readonly kind: UserRecordKind;
  /** The identity's 33-byte point. */
  readonly identity: Uint8Array;
  readonly device: Uint8Array;
  readonly sequence: bigint;
  readonly expiresHours: number;
  readonly payload: Uint8Array;
}

/**
 * @param key the identity's ECDSA key.
 * @throws RangeError the payload has more than 8,047 bytes.
 */
export async function signUserRecord(key: CryptoKey, parts: UserRecordParts): Promise<Bytes> {
  if (parts.payload.length > MAX_PAYLOAD) throw new RangeError("the payload is too long");
  const signed = concat(
    u8Bytes(VERSION),
    u8Bytes(parts.kind),
    parts.identity,
    parts.device,
    u64Bytes(parts.sequence),
    u32Bytes(parts.expiresHours),
    u16Bytes(parts.payload.length),
    parts.payload,
  );
  return concat(signed, await sign(key, Label.userRecord, signed));
}

/** @throws BadRecord not a user record, or not signed by the identity it names. */
export async function parseUserRecord(encoded: Uint8Array, points: Points): Promise<UserRecord> {
  if (encoded.length < HEAD + SIGNATURE || encoded.length > MAX_USER_RECORD_BYTES) {
    throw new BadRecord(`a user record of ${encoded.length} bytes`);
  }
  const reader = new LayoutReader(encoded);
  const version = reader.u8();
  const kind = reader.u8();
  if (version !== VERSION || (kind !== KIND_DEVICE_LIST && kind !== KIND_DEVICE)) {
    throw new BadRecord(`user record version ${version}, kind ${kind} is not known here`);
  }
  const identity = reader.bytes(33);
  const device = reader.bytes(32);
  if (kind === KIND_DEVICE_LIST && device.some((byte) => byte !== 0)) {
    throw new BadRecord("a device list names no device");
  }
  const sequence = reader.u64();
  if (sequence >= 1n << 63n) throw new BadRecord("the sequence is out of range");
  const expiresHours = reader.u32();
  const length = reader.u16();
  const end = HEAD + length;
  if (encoded.length !== end + SIGNATURE) {
    throw new BadRecord("the payload length does not fit the record");
  }
  const payload = reader.bytes(length);
  const signed = labelled(Label.userRecord, encoded.subarray(0, end));
  if (!(await points.verify(identity, encoded.subarray(end), signed))) {
    throw new BadRecord("the user record is not signed by its identity");
  }
  const own = concat(encoded);
  return {
    kind,
    identity,
    device,
    sequence,
    expiresHours,
    payload,
    encoded: own,
    hash: await sha256(own),
  };
}

/** Of two records with one key the one that compares higher holds, on every replica. */
export function compareUserRecords(a: UserRecord, b: UserRecord): number {
  if (a.sequence !== b.sequence) return a.sequence < b.sequence ? -1 : 1;
  return compare(a.hash, b.hash);
}
