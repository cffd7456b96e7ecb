/**
 * The seal: HPKE base mode (RFC 9180) to the recipient's inbox key, bound to the envelope.
 *
 * DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, one shot, no associated data. The envelope's
 * header is in `info`, so one that is re-dated, re-addressed or moved to another network does not
 * open (docs/protocol/e2ee.md, section 8).
 */

import { Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, HkdfSha256, HpkeError } from "@hpke/core";
import { type Bytes, concat, equal, utf8 } from "../wire/bytes";
import { TaceError } from "../wire/errors";
import { u32Bytes } from "../wire/layout";
import { type Envelope, lockOf, makeEnvelope, SECRET_BYTES } from "../wire/objects";
import { type KeyPair, type RandomBytes, uncompress } from "./crypto";
import { INNER_BYTES } from "./inner";
import { E2eeLabel } from "./labels";

const KEM = new DhkemP256HkdfSha256();
const SUITE = new CipherSuite({ kem: KEM, kdf: new HkdfSha256(), aead: new Aes256Gcm() });
const ENC_BYTES = 65;

/**
 * The envelope does not unseal: not sealed to this key, changed, or not what it says.
 *
 * Nobody can ack it; the owner removes it with a signature of the mailbox key.
 */
export class Junk extends TaceError {
  constructor(message: string) {
    super("junk", message);
  }
}

/**
 * `enc 65 ‖ ciphertext ‖ tag 16`.
 *
 * @throws NotAPoint
 */
export async function hpkeSeal(point: Bytes, info: Bytes, plaintext: Bytes): Promise<Bytes> {
  const recipientPublicKey = await KEM.deserializePublicKey((await uncompress(point)).buffer);
  const { enc, ct } = await SUITE.seal({ recipientPublicKey, info: info.buffer }, plaintext.buffer);
  return concat(new Uint8Array(enc), new Uint8Array(ct));
}

/** @throws Junk not sealed to this key with this info, or changed. */
export async function hpkeOpen(key: KeyPair, info: Bytes, sealed: Bytes): Promise<Bytes> {
  const publicKey = await KEM.deserializePublicKey((await uncompress(key.point)).buffer);
  const enc = sealed.slice(0, ENC_BYTES).buffer;
  const recipientKey = { privateKey: key.privateKey, publicKey };
  try {
    const opened = await SUITE.open(
      { recipientKey, enc, info: info.buffer },
      sealed.slice(ENC_BYTES).buffer,
    );
    return new Uint8Array(opened);
  } catch (error) {
    if (error instanceof HpkeError) throw new Junk("the seal does not open");
    throw error;
  }
}

/** What the seal is bound to. */
export function envelopeInfo(
  networkId: Bytes,
  mailbox: Bytes,
  expiresHours: number,
  lock: Bytes,
): Bytes {
  return concat(utf8(E2eeLabel.ENVELOPE), networkId, mailbox, u32Bytes(expiresHours), lock);
}

export interface Address {
  readonly inboxKey: Bytes;
  readonly networkId: Bytes;
  readonly mailbox: Bytes;
  readonly expiresHours: number;
  readonly random: RandomBytes;
}

/**
 * An envelope without a stamp, its blob full to the last byte.
 *
 * @param inner 3,455 bytes, from "./session" `send`.
 * @throws NotAPoint the inbox key is none.
 */
export async function seal(inner: Bytes, address: Address): Promise<Envelope> {
  if (inner.length !== INNER_BYTES) throw new RangeError(`${inner.length} bytes of inner message`);
  const { inboxKey, networkId, mailbox, expiresHours, random } = address;
  const secret = random(SECRET_BYTES);
  const lock = await lockOf(secret);
  const info = envelopeInfo(networkId, mailbox, expiresHours, lock);
  const blob = await hpkeSeal(inboxKey, info, concat(secret, inner));
  return await makeEnvelope({ mailbox, expiresHours, lock, blob });
}

/**
 * The secret that is the ack, and the inner message as it came.
 *
 * @throws Junk it does not open, or does not hold its lock's secret.
 */
export async function unseal(
  envelope: Envelope,
  inbox: KeyPair,
  networkId: Bytes,
): Promise<{ secret: Bytes; inner: Bytes }> {
  const { mailbox, expiresHours, lock, blob } = envelope;
  const info = envelopeInfo(networkId, mailbox, expiresHours, lock);
  const content = await hpkeOpen(inbox, info, blob);
  const secret = content.slice(0, SECRET_BYTES);
  if (!equal(await lockOf(secret), lock)) throw new Junk("the secret does not open the lock");
  return { secret, inner: content.slice(SECRET_BYTES) };
}
