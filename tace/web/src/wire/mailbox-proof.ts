/** What the owner of a mailbox signs with the mailbox key: leases and removals (client.md, 4). */

import { type Bytes, concat, utf8 } from "./bytes";
import { Label, labelled, type Points, sign } from "./digest";
import { Malformed } from "./errors";
import { LayoutReader, u8Bytes, u32Bytes, u64Bytes } from "./layout";
import { isMailboxKind, type MailboxKind, mailboxId } from "./objects";

export const LEASE_SECONDS = 15 * 60;
export const MAX_ORIGIN_BYTES = 200;
export const MAX_REMOVED = 64;

/** The key of a mailbox: an ECDSA P-256 key that may not be extractable, and its 33-byte point. */
export interface MailboxKey {
  readonly privateKey: CryptoKey;
  readonly publicKey: Bytes;
  readonly kind: MailboxKind;
}

/** The owner's word that one node may collect a mailbox for a while. */
export interface Lease {
  readonly mailboxKey: Bytes;
  readonly kind: MailboxKind;
  readonly origin: string;
  readonly challenge: Bytes;
  readonly expiresSeconds: number;
  readonly signature: Bytes;
}

/** For which node, and until when. */
export interface LeaseTerms {
  readonly networkId: Uint8Array;
  readonly nodeId: Uint8Array;
  /** The very origin that was dialled. */
  readonly origin: string;
  readonly challenge: Bytes;
  /** Seconds since 1970, of the node's clock. */
  readonly expiresSeconds: number;
}

/** What a lease's signature is over, after its label. */
async function leaseFields(
  publicKey: Uint8Array,
  kind: MailboxKind,
  terms: LeaseTerms,
): Promise<Bytes> {
  const origin = utf8(terms.origin);
  if (origin.length > MAX_ORIGIN_BYTES) throw new RangeError("an origin has at most 200 bytes");
  return concat(
    terms.networkId,
    await mailboxId(publicKey, kind),
    terms.nodeId,
    u8Bytes(origin.length),
    origin,
    terms.challenge,
    u64Bytes(terms.expiresSeconds),
  );
}

export async function signLease(key: MailboxKey, terms: LeaseTerms): Promise<Lease> {
  const fields = await leaseFields(key.publicKey, key.kind, terms);
  return {
    mailboxKey: key.publicKey,
    kind: key.kind,
    origin: terms.origin,
    challenge: terms.challenge,
    expiresSeconds: terms.expiresSeconds,
    signature: await sign(key.privateKey, Label.lease, fields),
  };
}

/** Is the lease signed by its mailbox's key for that network and node? */
export async function leaseIsSigned(
  lease: Lease,
  networkId: Uint8Array,
  nodeId: Uint8Array,
  points: Points,
): Promise<boolean> {
  const fields = await leaseFields(lease.mailboxKey, lease.kind, { ...lease, networkId, nodeId });
  return points.verify(lease.mailboxKey, lease.signature, labelled(Label.lease, fields));
}

/** What may be named in a removal. */
export interface Removed {
  readonly id: Uint8Array;
  readonly expiresHours: number;
}

/**
 * The owner's word that messages nobody could unseal may go: `mailbox key 33 | kind u8 | count u8 |
 * count x (id 32 | expires u32) | signature 64`.
 *
 * @param items 1 to 64.
 */
export async function signRemoval(key: MailboxKey, items: readonly Removed[]): Promise<Bytes> {
  if (items.length < 1 || items.length > MAX_REMOVED) {
    throw new RangeError(`a removal names 1 to ${MAX_REMOVED} messages`);
  }
  const signed = concat(
    key.publicKey,
    u8Bytes(key.kind),
    u8Bytes(items.length),
    ...items.flatMap((item) => [item.id, u32Bytes(item.expiresHours)]),
  );
  return concat(signed, await sign(key.privateKey, Label.removal, signed));
}

export interface Removal {
  readonly mailboxKey: Bytes;
  readonly kind: MailboxKind;
  readonly items: readonly Removed[];
}

/** @throws Malformed not a removal, or not signed by the mailbox key. */
export async function parseRemoval(encoded: Uint8Array, points: Points): Promise<Removal> {
  if (encoded.length < 35) throw new Malformed("a removal is longer than that");
  const reader = new LayoutReader(encoded);
  const mailboxKey = reader.bytes(33);
  const kind = reader.u8();
  const count = reader.u8();
  const end = 35 + 36 * count;
  if (count < 1 || count > MAX_REMOVED || encoded.length !== end + 64) {
    throw new Malformed("the count does not fit the removal");
  }
  if (!isMailboxKind(kind)) throw new Malformed(`mailbox kind ${kind} is not known here`);
  const signed = labelled(Label.removal, encoded.subarray(0, end));
  if (!(await points.verify(mailboxKey, encoded.subarray(end), signed))) {
    throw new Malformed("the removal is not signed by the mailbox key");
  }
  const items = Array.from({ length: count }, () => ({
    id: reader.bytes(32),
    expiresHours: reader.u32(),
  }));
  return { mailboxKey, kind, items };
}
