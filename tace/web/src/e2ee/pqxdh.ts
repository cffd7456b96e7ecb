/**
 * The session start: PQXDH over P-256 and ML-KEM-768, with every public value in the transcript.
 *
 * After Signal's PQXDH specification, without one-time prekeys and without XEdDSA
 * (docs/protocol/e2ee.md, section 4).
 */

import { type Bytes, concat, utf8 } from "../wire/bytes";
import { Malformed, TaceError } from "../wire/errors";
import { LayoutReader, u8Bytes, u32Bytes } from "../wire/layout";
import {
  type AgreementKeys,
  agree,
  checkPoint,
  hash,
  hkdf,
  KEY_BYTES,
  makeAgreementKey,
  NotAPoint,
  POINT_BYTES,
} from "./crypto";
import {
  CERTIFICATE_BYTES,
  type Certificate,
  certificateHolds,
  type DeviceKeys,
  parseCertificate,
} from "./device";
import { E2eeLabel } from "./labels";
import { decapsulate, type Encapsulate, encapsulate, KEM_CIPHERTEXT_BYTES } from "./mlkem";
import type { Prekey } from "./prekeys";
import type { DeviceRecord } from "./records";

export const SESSION_ID_BYTES = 16;
/** Flag: the initiator cannot read the sessions there were; write in this one from now on. */
const FRESH = 1;
export const HANDSHAKE_BYTES = 1 + CERTIFICATE_BYTES + POINT_BYTES + 4 + KEM_CIPHERTEXT_BYTES;

/** The record, or the own certificate, is over. */
export class Expired extends TaceError {
  constructor(message: string) {
    super("expired", message);
  }
}

/** This device as a party to sessions: its keys, and the certificate that is current. */
export interface OwnDevice {
  readonly keys: Pick<DeviceKeys, "id" | "agreement">;
  readonly certificate: Certificate;
}

/** What the initiator sends so that the responder reaches the same keys. 1,293 bytes. */
export interface Handshake {
  readonly fresh: boolean;
  readonly certificate: Certificate;
  readonly ephemeral: Bytes;
  readonly prekeyId: number;
  readonly kemCiphertext: Bytes;
}

/** What both sides hold after the start. Secret. */
export interface SessionKeys {
  /** H of all public values; also the associated data of every message of the session. */
  readonly transcript: Bytes;
  readonly root: Bytes;
  readonly initiatorHeader: Bytes;
  readonly responderHeader: Bytes;
}

/** What is drawn at a start; tests give what the vectors say. */
export interface Draws {
  readonly agreementKey: AgreementKeys;
  readonly encapsulate: Encapsulate;
}

export const DRAWS: Draws = { agreementKey: makeAgreementKey, encapsulate };

export function isFresh(handshake: Bytes): boolean {
  return ((handshake[0] ?? 0) & FRESH) !== 0;
}

/** @throws Malformed wrong length, flags or points, or a certificate that is not signed. */
export async function parseHandshake(encoded: Bytes): Promise<Handshake> {
  if (encoded.length !== HANDSHAKE_BYTES) {
    throw new Malformed(`a handshake has ${HANDSHAKE_BYTES} bytes, not ${encoded.length}`);
  }
  const reader = new LayoutReader(encoded);
  const flags = reader.u8();
  const certificate = reader.bytes(CERTIFICATE_BYTES);
  const ephemeral = reader.bytes(POINT_BYTES);
  const prekeyId = reader.u32();
  const kemCiphertext = reader.bytes(KEM_CIPHERTEXT_BYTES);
  if (flags & ~FRESH) throw new Malformed(`handshake flags ${flags} are not known here`);
  try {
    await checkPoint(ephemeral);
  } catch (error) {
    if (error instanceof NotAPoint) throw new Malformed("the ephemeral key is not a P-256 point");
    throw error;
  }
  return {
    fresh: flags === FRESH,
    certificate: await parseCertificate(certificate),
    ephemeral,
    prekeyId,
    kemCiphertext,
  };
}

/** H("tace session id 1" ‖ handshake)[:16]: known before anything is verified. */
export async function sessionId(handshake: Bytes): Promise<Bytes> {
  return (await hash(E2eeLabel.SESSION_ID, handshake)).slice(0, SESSION_ID_BYTES);
}

/** HKDF over DH1 ‖ DH2 ‖ DH3 ‖ ML-KEM secret: root 32, two header keys 32 each. */
export async function deriveKeys(
  agreements: readonly Bytes[],
  kemShared: Bytes,
  transcript: Bytes,
): Promise<SessionKeys> {
  const keys = await hkdf(concat(...agreements, kemShared), {
    salt: new Uint8Array(),
    info: concat(utf8(E2eeLabel.SESSION_KEYS), transcript),
    length: 3 * KEY_BYTES,
  });
  return {
    transcript,
    root: keys.slice(0, 32),
    initiatorHeader: keys.slice(32, 64),
    responderHeader: keys.slice(64),
  };
}

/**
 * Start towards a device whose record was verified.
 *
 * @throws Expired the record, or the own certificate, is over.
 */
export async function initiate(
  own: OwnDevice,
  peer: DeviceRecord,
  { now, fresh, draws }: { now: number; fresh: boolean; draws: Draws },
): Promise<{ handshake: Bytes; keys: SessionKeys }> {
  if (peer.record.expiresHours * 3600 <= now) throw new Expired("the other's record is over");
  if (own.certificate.expiresHours * 3600 <= now) throw new Expired("the own certificate is over");
  const ephemeral = await draws.agreementKey();
  const { shared, ciphertext } = await draws.encapsulate(peer.kemPrekey);
  const handshake = concat(
    u8Bytes(fresh ? FRESH : 0),
    own.certificate.encoded,
    ephemeral.point,
    u32Bytes(peer.prekeyId),
    ciphertext,
  );
  const agreements = await Promise.all([
    agree(own.keys.agreement, peer.prekey),
    agree(ephemeral, peer.deviceKey),
    agree(ephemeral, peer.prekey),
  ]);
  const transcript = await hash(
    E2eeLabel.TRANSCRIPT,
    handshake,
    peer.identity,
    peer.deviceKey,
    peer.prekey,
    peer.kemPrekey,
  );
  return { handshake, keys: await deriveKeys(agreements, shared, transcript) };
}

/**
 * Reach the initiator's keys with the private halves of the prekey it names.
 *
 * Whoever made the handshake is proved only when a message under these keys opens.
 *
 * @param encoded the handshake as it came.
 * @throws Expired the certificate is over, or claims to live too long.
 */
export async function respond(
  encoded: Bytes,
  handshake: Handshake,
  own: OwnDevice,
  prekey: Prekey,
  now: number,
): Promise<SessionKeys> {
  const { certificate, ephemeral } = handshake;
  if (!certificateHolds(certificate, now)) {
    throw new Expired("the certificate in the handshake does not hold");
  }
  const agreements = await Promise.all([
    agree(prekey.agreement, certificate.deviceKey),
    agree(own.keys.agreement, ephemeral),
    agree(prekey.agreement, ephemeral),
  ]);
  const shared = await decapsulate(prekey.kem, handshake.kemCiphertext);
  const transcript = await hash(
    E2eeLabel.TRANSCRIPT,
    encoded,
    own.certificate.identity,
    own.keys.agreement.point,
    prekey.agreement.point,
    prekey.kemPublic,
  );
  return await deriveKeys(agreements, shared, transcript);
}
