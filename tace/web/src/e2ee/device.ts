/** A device: its four long-term keys, and the certificate that ties them to an identity. */

import { type Bytes, concat, equal } from "../wire/bytes";
import { Malformed } from "../wire/errors";
import { LayoutReader, u32Bytes } from "../wire/layout";
import { utf8 } from "../wire/bytes";
import {
  generatedKeys,
  hash,
  importPoint,
  type KeyPair,
  type KeySource,
  NotAPoint,
  POINT_BYTES,
  SIGNATURE_BYTES,
  signLabelled,
  verifyPoints,
} from "./crypto";
import { E2eeLabel } from "./labels";

export const DEVICE_ID_BYTES = 32;
const SIGNED_BYTES = 3 * POINT_BYTES + 4;
export const CERTIFICATE_BYTES = SIGNED_BYTES + SIGNATURE_BYTES;
/** The longest that any envelope lives. */
export const MESSAGE_LIFE_DAYS = 30;
const DAY_SECONDS = 24 * 3600;
/** A record's life, and a day for clocks that differ. */
const LONGEST_DAYS = 31;

/** The private keys of this device, made once and kept for its life. */
export interface DeviceKeys {
  /** 32 bytes. */
  readonly id: Bytes;
  /** DK, the ECDH key in every session start. */
  readonly agreement: KeyPair;
  /** The HPKE key that envelopes to this device are sealed to. */
  readonly inbox: KeyPair;
  /** Opens the mailbox that anyone can find. */
  readonly requests: KeyPair;
  /** Opens the mailbox that contacts are told of. */
  readonly contacts: KeyPair;
}

/** The identity's word that a device is its own; it rides in the handshake. */
export interface Certificate {
  readonly identity: Bytes;
  readonly deviceKey: Bytes;
  readonly inboxKey: Bytes;
  readonly expiresHours: number;
  /** 167 bytes. */
  readonly encoded: Bytes;
}

/** H("tace device 1" | device key 33). */
export function deviceId(deviceKey: Uint8Array): Promise<Bytes> {
  return hash(E2eeLabel.device, deviceKey);
}

export async function makeDeviceKeys(source: KeySource = generatedKeys): Promise<DeviceKeys> {
  const agreement = await source.make("agreement");
  const inbox = await source.make("agreement");
  const requests = await source.make("signing");
  const contacts = await source.make("signing");
  return { id: await deviceId(agreement.point), agreement, inbox, requests, contacts };
}

export async function signCertificate(
  identity: KeyPair,
  keys: DeviceKeys,
  expiresHours: number,
): Promise<Certificate> {
  const signed = concat(
    identity.point,
    keys.agreement.point,
    keys.inbox.point,
    u32Bytes(expiresHours),
  );
  const signature = await signLabelled(identity.privateKey, E2eeLabel.certificate, signed);
  return await parseCertificate(concat(signed, signature));
}

/** @throws Malformed wrong length, no points, or not signed by the identity it names. */
export async function parseCertificate(encoded: Uint8Array): Promise<Certificate> {
  if (encoded.length !== CERTIFICATE_BYTES) {
    throw new Malformed(`a certificate has ${CERTIFICATE_BYTES} bytes, not ${encoded.length}`);
  }
  const reader = new LayoutReader(encoded);
  const identity = reader.bytes(POINT_BYTES);
  const deviceKey = reader.bytes(POINT_BYTES);
  const inboxKey = reader.bytes(POINT_BYTES);
  const expiresHours = reader.u32();
  const signed = concat(utf8(E2eeLabel.certificate), encoded.subarray(0, SIGNED_BYTES));
  if (!(await verifyPoints.verify(identity, encoded.subarray(SIGNED_BYTES), signed))) {
    throw new Malformed("the certificate is not signed by the identity it names");
  }
  if (equal(identity, deviceKey) || equal(identity, inboxKey) || equal(deviceKey, inboxKey)) {
    throw new Malformed("one key stands for two purposes in the certificate");
  }
  for (const key of [deviceKey, inboxKey]) {
    await checkPoint(key, "a key in the certificate is not a P-256 point");
  }
  return { identity, deviceKey, inboxKey, expiresHours, encoded: concat(encoded) };
}

/** @throws Malformed */
export async function checkPoint(point: Uint8Array, message: string): Promise<void> {
  try {
    await importPoint(point, "agreement");
  } catch (error) {
    if (!(error instanceof NotAPoint)) throw error;
    throw new Malformed(message);
  }
}

/**
 * May a session start on it at `now` (seconds since 1970)?
 *
 * It may be over by the life of a message, because the message that carries it may have waited that
 * long. One that claims to live longer than a record may is refused, so that a device somebody
 * stole does not stay certified for ever.
 */
export function certificateHolds(certificate: Certificate, now: number): boolean {
  const left = certificate.expiresHours * 3600 - now;
  return -MESSAGE_LIFE_DAYS * DAY_SECONDS <= left && left <= LONGEST_DAYS * DAY_SECONDS;
}
