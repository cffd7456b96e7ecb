/** This device: its keys, and the certificate by which its identity answers for it. */

import { type Bytes, concat, equal, utf8 } from "../wire/bytes";
import { Malformed } from "../wire/errors";
import { LayoutReader, u32Bytes } from "../wire/layout";
import {
  checkPoint,
  hash,
  type KeyPair,
  makeAgreementKey,
  makeSigningKey,
  NotAPoint,
  POINT_BYTES,
  SIGNATURE_BYTES,
  sign,
  verify,
} from "./crypto";
import { E2eeLabel } from "./labels";
import type { IdentityKey } from "./recovery";

export const CERTIFICATE_BYTES = 3 * POINT_BYTES + 4 + SIGNATURE_BYTES;
export const MAX_LIFETIME_DAYS = 30;
/** The longest that any envelope lives. */
export const MESSAGE_LIFE_DAYS = 30;
const SIGNED_BYTES = CERTIFICATE_BYTES - SIGNATURE_BYTES;
const DAY_SECONDS = 24 * 3600;
/** How far two clocks may differ before a certificate looks too long-lived. */
const CLOCKS_SECONDS = DAY_SECONDS;

/** H("tace device 1" ‖ device key 33): 32 bytes. */
export function deviceId(deviceKey: Uint8Array): Promise<Bytes> {
  return hash(E2eeLabel.DEVICE, deviceKey);
}

/** The private keys of this device, made once and kept for its life; none can be read out. */
export interface DeviceKeys {
  readonly id: Bytes;
  /** DK, the ECDH key in every session start. */
  readonly agreement: KeyPair;
  /** The HPKE key that envelopes to this device are sealed to. */
  readonly inbox: KeyPair;
  /** ECDSA; opens the mailbox that anyone can find. */
  readonly requests: KeyPair;
  /** ECDSA; opens the mailbox that contacts are told of. */
  readonly contacts: KeyPair;
}

export async function makeDeviceKeys(): Promise<DeviceKeys> {
  const agreement = await makeAgreementKey();
  return {
    id: await deviceId(agreement.point),
    agreement,
    inbox: await makeAgreementKey(),
    requests: await makeSigningKey(),
    contacts: await makeSigningKey(),
  };
}

/**
 * The identity's word that a device is its own; it rides in the handshake.
 *
 * `identity 33 ‖ device key 33 ‖ inbox key 33 ‖ expires u32 (hours) ‖ signature 64`. Made only by
 * signCertificate and parseCertificate.
 */
export interface Certificate {
  readonly identity: Bytes;
  readonly deviceKey: Bytes;
  readonly inboxKey: Bytes;
  readonly expiresHours: number;
  readonly encoded: Bytes;
}

export async function signCertificate(
  identity: IdentityKey,
  keys: Pick<DeviceKeys, "agreement" | "inbox">,
  expiresHours: number,
): Promise<Certificate> {
  const { point: deviceKey } = keys.agreement;
  const { point: inboxKey } = keys.inbox;
  const signed = concat(identity.point, deviceKey, inboxKey, u32Bytes(expiresHours));
  const encoded = concat(signed, await sign(identity, E2eeLabel.CERTIFICATE, signed));
  return { identity: identity.point, deviceKey, inboxKey, expiresHours, encoded };
}

/** @throws Malformed wrong length, no points, or not signed by the identity it names. */
export async function parseCertificate(encoded: Bytes): Promise<Certificate> {
  if (encoded.length !== CERTIFICATE_BYTES) {
    throw new Malformed(`a certificate has ${CERTIFICATE_BYTES} bytes, not ${encoded.length}`);
  }
  const reader = new LayoutReader(encoded);
  const identity = reader.bytes(POINT_BYTES);
  const deviceKey = reader.bytes(POINT_BYTES);
  const inboxKey = reader.bytes(POINT_BYTES);
  const expiresHours = reader.u32();
  const signature = reader.bytes(SIGNATURE_BYTES);
  const signed = concat(utf8(E2eeLabel.CERTIFICATE), encoded.subarray(0, SIGNED_BYTES));
  if (!(await verify(identity, signature, signed))) {
    throw new Malformed("the certificate is not signed by the identity it names");
  }
  if (equal(identity, deviceKey) || equal(identity, inboxKey) || equal(deviceKey, inboxKey)) {
    throw new Malformed("one key stands for two purposes in the certificate");
  }
  try {
    await checkPoint(deviceKey);
    await checkPoint(inboxKey);
  } catch (error) {
    if (error instanceof NotAPoint) throw new Malformed("a key in the certificate is no point");
    throw error;
  }
  return { identity, deviceKey, inboxKey, expiresHours, encoded };
}

/**
 * May a session start on it at `now` (unix seconds)?
 *
 * It may be over by the life of a message, because the message that carries it may have waited that
 * long. One that claims to live longer than a record may is refused, so that a device somebody
 * stole does not stay certified for ever.
 */
export function certificateHolds(certificate: Certificate, now: number): boolean {
  const left = certificate.expiresHours * 3600 - now;
  return (
    left >= -MESSAGE_LIFE_DAYS * DAY_SECONDS &&
    left <= MAX_LIFETIME_DAYS * DAY_SECONDS + CLOCKS_SECONDS
  );
}
