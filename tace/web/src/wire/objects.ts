/**
 * What replicas keep: envelopes and the tombstones that replace them (docs/protocol/peer.md, 6.1
 * and 6.2). Fixed layouts, because ids and proofs are hashes over them.
 */

import { type Bytes, concat, equal } from "./bytes";
import { digest, Label, sha256 } from "./digest";
import { Malformed } from "./errors";
import { LayoutReader, u8Bytes, u32Bytes, u64Bytes } from "./layout";

export const ENVELOPE_VERSION = 1;
export const HEADER_BYTES = 78;
export const BLOB_BYTES = 3552;
export const ENVELOPE_BYTES = HEADER_BYTES + BLOB_BYTES;
export const TOMBSTONE_BYTES = 84;
export const SECRET_BYTES = 16;

/** The mailbox anyone can find: small quota, stamped envelopes only. */
export const KIND_REQUESTS = 1;
/** The mailbox a contact was given inside the first encrypted message. */
export const KIND_CONTACTS = 2;
export type MailboxKind = typeof KIND_REQUESTS | typeof KIND_CONTACTS;

export function isMailboxKind(kind: number | undefined): kind is MailboxKind {
  return kind === KIND_REQUESTS || kind === KIND_CONTACTS;
}

/** The mailbox that the 33-byte public key opens; the last byte says what kind it is. */
export async function mailboxId(publicKey: Uint8Array, kind: MailboxKind): Promise<Bytes> {
  return concat((await digest(Label.mailbox, publicKey)).subarray(0, 31), u8Bytes(kind));
}

/** What an envelope shows of the 16-byte secret that its sealed content holds. */
export function lockOf(secret: Uint8Array): Promise<Bytes> {
  return digest(Label.lock, secret);
}

/** Binds everything but the stamp, so that a stamp can be made again. */
export function messageId(
  mailbox: Uint8Array,
  expiresHours: number,
  lock: Uint8Array,
  blobHash: Uint8Array,
): Promise<Bytes> {
  return digest(Label.message, mailbox, u32Bytes(expiresHours), lock, blobHash);
}

/** How many leading zero bits the stamp shows, at most 256. */
export async function stampBits(id: Uint8Array, target: number, nonce: bigint): Promise<number> {
  const proof = await digest(Label.stamp, id, u8Bytes(target), u64Bytes(nonce));
  const first = proof.findIndex((byte) => byte !== 0);
  return first < 0 ? 256 : 8 * first + Math.clz32(proof[first]!) - 24;
}

/**
 * One sealed message on its way: `version u8 | mailbox 32 | expires u32 | lock 32 | target u8 |
 * nonce u64 | blob 3552`, 3,630 bytes.
 */
export interface Envelope {
  readonly id: Bytes;
  readonly mailbox: Bytes;
  readonly kind: MailboxKind;
  /** Whole hours since 1970. */
  readonly expiresHours: number;
  readonly lock: Bytes;
  readonly stampTarget: number;
  readonly stampNonce: bigint;
  readonly blob: Bytes;
  readonly encoded: Bytes;
}

export interface EnvelopeParts {
  mailbox: Uint8Array;
  expiresHours: number;
  lock: Uint8Array;
  blob: Uint8Array;
  stampTarget?: number;
  stampNonce?: bigint;
}

/** @throws Malformed the parts have other lengths, or the mailbox another kind. */
export function makeEnvelope(parts: EnvelopeParts): Promise<Envelope> {
  return parseEnvelope(
    concat(
      u8Bytes(ENVELOPE_VERSION),
      parts.mailbox,
      u32Bytes(parts.expiresHours),
      parts.lock,
      u8Bytes(parts.stampTarget ?? 0),
      u64Bytes(parts.stampNonce ?? 0n),
      parts.blob,
    ),
  );
}

/** @throws Malformed wrong length, version or mailbox kind. */
export async function parseEnvelope(encoded: Uint8Array): Promise<Envelope> {
  if (encoded.length !== ENVELOPE_BYTES) {
    throw new Malformed(`an envelope has ${ENVELOPE_BYTES} bytes, not ${encoded.length}`);
  }
  const reader = new LayoutReader(encoded);
  const version = reader.u8();
  if (version !== ENVELOPE_VERSION) {
    throw new Malformed(`envelope version ${version} is not known here`);
  }
  const mailbox = reader.bytes(32);
  const kind = mailbox[31];
  if (!isMailboxKind(kind)) throw new Malformed(`mailbox kind ${kind} is not known here`);
  const expiresHours = reader.u32();
  const lock = reader.bytes(32);
  const stampTarget = reader.u8();
  const stampNonce = reader.u64();
  const blob = reader.bytes(BLOB_BYTES);
  const id = await messageId(mailbox, expiresHours, lock, await sha256(blob));
  return {
    id,
    mailbox,
    kind,
    expiresHours,
    lock,
    stampTarget,
    stampNonce,
    blob,
    encoded: concat(encoded),
  };
}

/** Does the stamp commit to at least `target` bits, and keep that word? */
export async function stampedFor(envelope: Envelope, target: number): Promise<boolean> {
  if (target === 0) return true;
  const { id, stampTarget, stampNonce } = envelope;
  return stampTarget >= target && (await stampBits(id, stampTarget, stampNonce)) >= stampTarget;
}

/**
 * The proof that the recipient opened a message, the secret behind its lock: `id 32 | expires u32 |
 * secret 16 | H(blob) 32`, 84 bytes. On the wire the mailbox stands beside it.
 */
export interface Tombstone {
  readonly mailbox: Bytes;
  readonly id: Bytes;
  readonly expiresHours: number;
  readonly secret: Bytes;
  readonly encoded: Bytes;
}

/** @throws Malformed the secret does not open the envelope's lock. */
export async function tombstoneOf(envelope: Envelope, secret: Uint8Array): Promise<Tombstone> {
  if (!equal(await lockOf(secret), envelope.lock)) {
    throw new Malformed("the secret does not open the lock");
  }
  const { mailbox, id, expiresHours, blob } = envelope;
  const encoded = concat(id, u32Bytes(expiresHours), secret, await sha256(blob));
  return { mailbox, id, expiresHours, secret: concat(secret), encoded };
}

/** @throws Malformed wrong length, or the secret does not open that message's lock. */
export async function parseTombstone(mailbox: Uint8Array, encoded: Uint8Array): Promise<Tombstone> {
  if (encoded.length !== TOMBSTONE_BYTES) {
    throw new Malformed(`a tombstone has ${TOMBSTONE_BYTES} bytes, not ${encoded.length}`);
  }
  const reader = new LayoutReader(encoded);
  const id = reader.bytes(32);
  const expiresHours = reader.u32();
  const secret = reader.bytes(SECRET_BYTES);
  const blobHash = reader.bytes(32);
  if (!equal(await messageId(mailbox, expiresHours, await lockOf(secret), blobHash), id)) {
    throw new Malformed("the secret does not open the lock");
  }
  return { mailbox: concat(mailbox), id, expiresHours, secret, encoded: concat(encoded) };
}
