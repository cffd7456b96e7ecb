/**
 * The Double Ratchet with header encryption: Signal's specification, section 4, on P-256.
 *
 * A ratchet is a value that is never changed. `encrypt` and `decrypt` give the next one, and
 * `decrypt` only after the tag has verified, so nothing a stranger sends can change a state.
 * Differences from the specification: docs/protocol/e2ee.md, section 5.
 */

import { type Bytes, concat, equal, utf8 } from "../wire/bytes";
import { LayoutReader, u32Bytes } from "../wire/layout";
import {
  type AgreementKeys,
  aeadOpen,
  aeadSeal,
  agree,
  hkdf,
  KEY_BYTES,
  type KeyPair,
  macs,
  NONCE_BYTES,
  NotAPoint,
  POINT_BYTES,
  type RandomBytes,
  TAG_BYTES,
  WrongKeyOrData,
} from "./crypto";
import { E2eeLabel } from "./labels";
import type { SessionKeys } from "./pqxdh";

/** How far ahead of the last one a message of one chain may be. */
export const MAX_SKIP = 1000;
/** How many keys of messages that have not come are kept, over all chains; the oldest go first. */
export const MAX_SKIPPED_KEYS = 1000;
const MAX_COUNT = 0xffff_ffff;
const SALT_BYTES = 16;
const HEADER_BYTES = POINT_BYTES + 8;
const SEALED_HEADER_BYTES = HEADER_BYTES + TAG_BYTES;
/** salt 16 ‖ sealed header 57 ‖ body ‖ tag 16 */
export const OVERHEAD_BYTES = SALT_BYTES + SEALED_HEADER_BYTES + TAG_BYTES;
const NOTHING = new Uint8Array();

/** Why a message cannot be opened; the state is what it was. */
export type RatchetFlaw =
  /** No header key opens the header: not for this session, or changed. */
  | "no-header-key"
  /** The key was used already, or evicted. */
  | "key-gone"
  /** More than 1,000 messages of a chain are missing before it. */
  | "too-far-ahead"
  /** The header is right, and the rest is not. */
  | "tampered";

export class RatchetError extends Error {
  constructor(readonly flaw: RatchetFlaw) {
    super(flaw);
  }
}

/** One sending or receiving chain: its header key, its key, how many messages it has made. */
interface Chain {
  readonly headerKey: Bytes;
  readonly key: Bytes;
  readonly count: number;
}

/** The keys of messages of one receiving chain that have not come, lowest number first. */
interface SkippedKeys {
  readonly headerKey: Bytes;
  readonly keys: readonly { readonly number: number; readonly key: Bytes }[];
}

/** One party's state in one session. Secret throughout; can be stored as it is. */
export interface Ratchet {
  readonly root: Bytes;
  readonly own: KeyPair;
  /** How many messages the sending chain before the present one had. */
  readonly previousCount: number;
  readonly sending: Chain | null;
  readonly receiving: Chain | null;
  readonly nextSendingHeader: Bytes;
  readonly nextReceivingHeader: Bytes;
  /** Oldest chain first; at most 1,000 keys in all. */
  readonly skipped: readonly SkippedKeys[];
}

interface Header {
  readonly point: Bytes;
  readonly previousCount: number;
  readonly number: number;
}

// -- derivations ----------------------------------------------------------------------------------

/** KDF_RK_HE: the next root key, a chain key, and the next header key of that direction. */
export async function stepRoot(root: Bytes, shared: Bytes) {
  const info = utf8(E2eeLabel.RATCHET_ROOT);
  const keys = await hkdf(shared, { salt: root, info, length: 3 * KEY_BYTES });
  return { root: keys.slice(0, 32), chainKey: keys.slice(32, 64), nextHeader: keys.slice(64) };
}

/** KDF_CK: the next message key, and the chain's key after it. */
export async function stepChain(chainKey: Bytes): Promise<{ messageKey: Bytes; chainKey: Bytes }> {
  const [messageKey, next] = await macs(chainKey, Uint8Array.of(1), Uint8Array.of(2));
  return { messageKey: messageKey!, chainKey: next! };
}

/** Key and nonce of the one message that has this message key and this salt. */
export async function messageSecrets(messageKey: Bytes, salt: Bytes) {
  const info = utf8(E2eeLabel.RATCHET_MESSAGE);
  const secrets = await hkdf(messageKey, { salt, info, length: KEY_BYTES + NONCE_BYTES });
  return { key: secrets.slice(0, KEY_BYTES), nonce: secrets.slice(KEY_BYTES) };
}

// -- starting -------------------------------------------------------------------------------------

/** @param prekey the responder's EC prekey, its first ratchet key. */
export async function startAsInitiator(
  keys: SessionKeys,
  prekey: Bytes,
  agreementKey: AgreementKeys,
): Promise<Ratchet> {
  const own = await agreementKey();
  const step = await stepRoot(keys.root, await agree(own, prekey));
  return {
    root: step.root,
    own,
    previousCount: 0,
    sending: { headerKey: keys.initiatorHeader, key: step.chainKey, count: 0 },
    receiving: null,
    nextSendingHeader: step.nextHeader,
    nextReceivingHeader: keys.responderHeader,
    skipped: [],
  };
}

/** It can send once it has received. */
export function startAsResponder(keys: SessionKeys, prekey: KeyPair): Ratchet {
  return {
    root: keys.root,
    own: prekey,
    previousCount: 0,
    sending: null,
    receiving: null,
    nextSendingHeader: keys.responderHeader,
    nextReceivingHeader: keys.initiatorHeader,
    skipped: [],
  };
}

// -- sending --------------------------------------------------------------------------------------

/**
 * The next state, and `salt 16 ‖ sealed header 57 ‖ sealed body`.
 *
 * The next state must be on disk before the bytes leave.
 *
 * @throws RangeError a responder that has received nothing, or a chain that is full.
 */
export async function encrypt(
  ratchet: Ratchet,
  plaintext: Bytes,
  associatedData: Bytes,
  random: RandomBytes,
): Promise<{ ratchet: Ratchet; message: Bytes }> {
  const { sending } = ratchet;
  if (!sending) throw new RangeError("a responder sends only after it has received");
  if (sending.count === MAX_COUNT) throw new RangeError("this chain is full");
  const salt = random(SALT_BYTES);
  const header = concat(
    ratchet.own.point,
    u32Bytes(ratchet.previousCount),
    u32Bytes(sending.count),
  );
  const sealedHeader = await aeadSeal(
    sending.headerKey,
    salt.slice(0, NONCE_BYTES),
    header,
    NOTHING,
  );
  const { messageKey, chainKey } = await stepChain(sending.key);
  const { key, nonce } = await messageSecrets(messageKey, salt);
  const prefix = concat(salt, sealedHeader);
  const body = await aeadSeal(key, nonce, plaintext, concat(associatedData, prefix));
  const next: Chain = { headerKey: sending.headerKey, key: chainKey, count: sending.count + 1 };
  return { ratchet: { ...ratchet, sending: next }, message: concat(prefix, body) };
}

// -- receiving ------------------------------------------------------------------------------------

/**
 * The next state and the plaintext.
 *
 * @param agreementKey drawn from when the message brings a DH step, and only after it verified.
 * @throws RatchetError it cannot be opened; nothing has changed.
 */
export async function decrypt(
  ratchet: Ratchet,
  message: Bytes,
  associatedData: Bytes,
  agreementKey: AgreementKeys,
): Promise<{ ratchet: Ratchet; plaintext: Bytes }> {
  if (message.length < OVERHEAD_BYTES) throw new RatchetError("no-header-key");
  const salt = message.slice(0, SALT_BYTES);
  const sealedHeader = message.slice(SALT_BYTES, SALT_BYTES + SEALED_HEADER_BYTES);
  const body = message.slice(SALT_BYTES + SEALED_HEADER_BYTES);
  const bound = concat(associatedData, salt, sealedHeader);

  const openBody = async (messageKey: Bytes): Promise<Bytes> => {
    const { key, nonce } = await messageSecrets(messageKey, salt);
    try {
      return await aeadOpen(key, nonce, body, bound);
    } catch (error) {
      if (error instanceof WrongKeyOrData) throw new RatchetError("tampered");
      throw error;
    }
  };

  const { receiving } = ratchet;
  if (receiving) {
    const header = await openHeader(receiving.headerKey, salt, sealedHeader);
    if (header && header.number < receiving.count) {
      const taken = take(ratchet.skipped, receiving.headerKey, header.number);
      const plaintext = await openBody(taken.key);
      return { ratchet: { ...ratchet, skipped: taken.left }, plaintext };
    }
    if (header) {
      const advanced = await advance(receiving, header.number);
      const plaintext = await openBody(advanced.messageKey);
      const skipped = keep(ratchet.skipped, advanced.missed);
      return { ratchet: { ...ratchet, receiving: advanced.chain, skipped }, plaintext };
    }
  }
  const stepping = await openHeader(ratchet.nextReceivingHeader, salt, sealedHeader);
  if (stepping) return await step(ratchet, stepping, openBody, agreementKey);
  for (const chain of ratchet.skipped.toReversed()) {
    const header = await openHeader(chain.headerKey, salt, sealedHeader);
    if (header) {
      const taken = take(ratchet.skipped, chain.headerKey, header.number);
      const plaintext = await openBody(taken.key);
      return { ratchet: { ...ratchet, skipped: taken.left }, plaintext };
    }
  }
  throw new RatchetError("no-header-key");
}

/** The DH step: the other side has a new ratchet key. */
async function step(
  ratchet: Ratchet,
  header: Header,
  openBody: (messageKey: Bytes) => Promise<Bytes>,
  agreementKey: AgreementKeys,
): Promise<{ ratchet: Ratchet; plaintext: Bytes }> {
  const { receiving, sending } = ratchet;
  let { skipped } = ratchet;
  if (receiving && header.previousCount > receiving.count) {
    skipped = keep(skipped, (await advance(receiving, header.previousCount)).missed);
  }
  const agreed = async (own: KeyPair): Promise<Bytes> => {
    try {
      return await agree(own, header.point);
    } catch (error) {
      if (error instanceof NotAPoint) throw new RatchetError("tampered");
      throw error;
    }
  };
  const theirs = await stepRoot(ratchet.root, await agreed(ratchet.own));
  const started = { headerKey: ratchet.nextReceivingHeader, key: theirs.chainKey, count: 0 };
  const advanced = await advance(started, header.number);
  const plaintext = await openBody(advanced.messageKey);
  // Only now, with the tag verified, is a key drawn and the sending half turned.
  const own = await agreementKey();
  const ours = await stepRoot(theirs.root, await agreed(own));
  return {
    plaintext,
    ratchet: {
      root: ours.root,
      own,
      previousCount: sending?.count ?? 0,
      sending: { headerKey: ratchet.nextSendingHeader, key: ours.chainKey, count: 0 },
      receiving: advanced.chain,
      nextSendingHeader: ours.nextHeader,
      nextReceivingHeader: theirs.nextHeader,
      skipped: keep(skipped, advanced.missed),
    },
  };
}

async function openHeader(headerKey: Bytes, salt: Bytes, sealed: Bytes): Promise<Header | null> {
  try {
    const opened = await aeadOpen(headerKey, salt.slice(0, NONCE_BYTES), sealed, NOTHING);
    const reader = new LayoutReader(opened);
    return {
      point: reader.bytes(POINT_BYTES),
      previousCount: reader.u32(),
      number: reader.u32(),
    };
  } catch (error) {
    if (error instanceof WrongKeyOrData) return null;
    throw error;
  }
}

/** The key of message `number`, the chain after it, and the keys that were passed over. */
async function advance(chain: Chain, number: number) {
  if (number - chain.count > MAX_SKIP || number === MAX_COUNT) {
    throw new RatchetError("too-far-ahead");
  }
  const passed: { number: number; key: Bytes }[] = [];
  let { key, count } = chain;
  for (; count < number; count += 1) {
    const stepped = await stepChain(key);
    passed.push({ number: count, key: stepped.messageKey });
    key = stepped.chainKey;
  }
  const { messageKey, chainKey } = await stepChain(key);
  const after: Chain = { headerKey: chain.headerKey, key: chainKey, count: count + 1 };
  const missed: SkippedKeys = { headerKey: chain.headerKey, keys: passed };
  return { messageKey, chain: after, missed };
}

/** The key kept for that message, and what is kept after it is used. */
function take(skipped: readonly SkippedKeys[], headerKey: Bytes, number: number) {
  for (const [place, chain] of skipped.entries()) {
    if (!equal(chain.headerKey, headerKey)) continue;
    const found = chain.keys.find((each) => each.number === number);
    if (!found) continue;
    const keys = chain.keys.filter((each) => each !== found);
    const shorter = keys.length ? [{ headerKey, keys }] : [];
    return { key: found.key, left: skipped.toSpliced(place, 1, ...shorter) };
  }
  throw new RatchetError("key-gone");
}

/** `skipped` and the newly missed ones, without the oldest beyond 1,000. */
function keep(skipped: readonly SkippedKeys[], missed: SkippedKeys): readonly SkippedKeys[] {
  if (!missed.keys.length) return skipped;
  const chains = [...skipped];
  const last = chains.at(-1);
  if (last && equal(last.headerKey, missed.headerKey)) {
    chains[chains.length - 1] = { ...last, keys: [...last.keys, ...missed.keys] };
  } else {
    chains.push(missed);
  }
  let excess = chains.reduce((sum, chain) => sum + chain.keys.length, 0) - MAX_SKIPPED_KEYS;
  while (excess > 0) {
    const oldest = chains[0]!;
    if (oldest.keys.length > excess) {
      chains[0] = { ...oldest, keys: oldest.keys.slice(excess) };
      break;
    }
    excess -= oldest.keys.length;
    chains.shift();
  }
  return chains;
}
