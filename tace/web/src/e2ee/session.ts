/**
 * The sessions of one pair of devices, after Signal's Sesame: which one sends, which one opens.
 *
 * A pair is a value that is never changed: `start`, `send` and `receive` give the next one, which
 * must be on disk before bytes leave or plaintext is shown. Which session sends is in the table of
 * docs/protocol/e2ee.md, section 7.
 */

import { type Bytes, compare, concat, equal } from "../wire/bytes";
import { Malformed, TaceError } from "../wire/errors";
import { type AgreementKeys, makeAgreementKey, type RandomBytes } from "./crypto";
import {
  consumedTag,
  type Inner,
  pad,
  prefixInSession,
  prefixWithHandshake,
  ROOM_IN_SESSION,
  ROOM_WITH_HANDSHAKE,
  unpad,
} from "./inner";
import { NotAKemValue } from "./mlkem";
import {
  DRAWS,
  type Draws,
  Expired,
  type Handshake,
  initiate,
  isFresh,
  type OwnDevice,
  parseHandshake,
  respond,
  type SessionKeys,
  sessionId,
} from "./pqxdh";
import type { Prekey } from "./prekeys";
import {
  decrypt,
  encrypt,
  type Ratchet,
  RatchetError,
  type RatchetFlaw,
  startAsInitiator,
  startAsResponder,
} from "./ratchet";
import type { DeviceRecord } from "./records";

export const MAX_SESSIONS = 3;
export const MAX_ENDED = 64;
/** How many opened messages of a pair are remembered, to tell a replay from what is unreadable. */
export const CONSUMED_WINDOW = 512;

/** One session. Secret throughout. */
export interface Session {
  readonly id: Bytes;
  /** The associated data of all its messages. */
  readonly transcript: Bytes;
  /** Rides on every message until the first answer; then, and at the responder's, null. */
  readonly handshake: Bytes | null;
  /** When an own start that nobody answered has to be made again. */
  readonly unansweredUntilHours: number;
  /** A fresh session has taken its place. */
  readonly onlyReceives: boolean;
  readonly ratchet: Ratchet;
}

/** All sessions between this device and one other. Secret throughout; can be stored as it is. */
export interface Pair {
  readonly identity: Bytes;
  readonly device: Bytes;
  /** At most 3; the first one sends. */
  readonly sessions: readonly Session[];
  /** Ids of sessions that are no more, oldest first, at most 64. */
  readonly ended: readonly Bytes[];
  /** Tags of the last 512 messages that opened, oldest first. */
  readonly consumed: readonly Bytes[];
}

/** There is no session to send on: fetch the device's record and start one. */
export class NoSession extends TaceError {
  constructor() {
    super("no-session", "there is no session to send on");
  }
}

export type Reason =
  | "no-session"
  | "ended"
  | "key-gone"
  | "too-far-ahead"
  | "tampered"
  | "bad-handshake"
  | "unknown-prekey"
  | "bad-padding";

/** It opened: sent by that device of that identity, and by no one else. */
export interface Opened {
  readonly outcome: "opened";
  readonly pair: Pair;
  readonly content: Bytes;
  /** Id of the session that opened it. */
  readonly session: Bytes;
  /** The peer started this session with it ... */
  readonly started: boolean;
  /** ... because it could not read what there was before: send again what it has not receipted. */
  readonly fresh: boolean;
}

/** It was opened before: ack it and say nothing. Or it cannot be read, and nothing has changed. */
export type Outcome =
  | Opened
  | { readonly outcome: "duplicate" }
  | { readonly outcome: "undecryptable"; readonly reason: Reason };

const REASONS: Readonly<Record<RatchetFlaw, Reason>> = {
  "no-header-key": "no-session",
  "key-gone": "key-gone",
  "too-far-ahead": "too-far-ahead",
  tampered: "tampered",
};

export function newPair(identity: Bytes, device: Bytes): Pair {
  return { identity, device, sessions: [], ended: [], consumed: [] };
}

/** The session that sends. */
export function activeSession(pair: Pair): Session | null {
  const [first] = pair.sessions;
  return first && !first.onlyReceives ? first : null;
}

/** How many bytes of content the next message holds. */
export function room(pair: Pair): number {
  const active = activeSession(pair);
  return active && !active.handshake ? ROOM_IN_SESSION : ROOM_WITH_HANDSHAKE;
}

/** Is there nothing to send on at `now` (unix seconds): no session, or a start that is too old? */
export function needsStart(pair: Pair, now: number): boolean {
  const active = activeSession(pair);
  return !active || (active.handshake !== null && active.unansweredUntilHours * 3600 <= now);
}

/**
 * Start a session; the handshake rides on what is sent until the first answer.
 *
 * @throws Expired the record, or the own certificate, is over.
 * @throws RangeError the record is not that of the pair's device.
 */
export async function start(
  pair: Pair,
  own: OwnDevice,
  peer: DeviceRecord,
  { now, fresh = false, draws = DRAWS }: { now: number; fresh?: boolean; draws?: Draws },
): Promise<Pair> {
  if (!equal(peer.identity, pair.identity) || !equal(peer.device, pair.device)) {
    throw new RangeError("the record belongs to another device");
  }
  if (equal(peer.device, own.keys.id)) throw new RangeError("a device has no session with itself");
  const { handshake, keys } = await initiate(own, peer, { now, fresh, draws });
  const session: Session = {
    id: await sessionId(handshake),
    transcript: keys.transcript,
    handshake,
    unansweredUntilHours: Math.min(peer.record.expiresHours, own.certificate.expiresHours),
    onlyReceives: false,
    ratchet: await startAsInitiator(keys, peer.prekey, draws.agreementKey),
  };
  return withSessions(pair, inFront(session, pair.sessions, fresh));
}

/**
 * The next state, and an inner message of 3,455 bytes to be sealed.
 *
 * @throws NoSession `needsStart` was not asked.
 * @throws RangeError more content than `room`.
 */
export async function send(
  pair: Pair,
  own: OwnDevice,
  content: Bytes,
  random: RandomBytes,
): Promise<{ pair: Pair; inner: Bytes }> {
  const session = activeSession(pair);
  if (!session) throw new NoSession();
  const prefix = session.handshake
    ? prefixWithHandshake(session.handshake)
    : prefixInSession(own.certificate.identity, own.keys.id);
  const { ratchet, message } = await encrypt(
    session.ratchet,
    pad(content, room(pair)),
    concat(session.transcript, prefix),
    random,
  );
  const sessions = [{ ...session, ratchet }, ...pair.sessions.slice(1)];
  return { pair: withSessions(pair, sessions), inner: concat(prefix, message) };
}

/**
 * Open an inner message that claims to come from the pair's device.
 *
 * @param prekeys the own prekeys whose private halves still exist, by id.
 * @param now unix seconds.
 * @throws RangeError it claims to come from another device: the caller took another pair.
 */
export async function receive(
  pair: Pair,
  own: OwnDevice,
  prekeys: ReadonlyMap<number, Prekey>,
  inner: Inner,
  now: number,
  agreementKey: AgreementKeys = makeAgreementKey,
): Promise<Outcome> {
  if (!equal(inner.identity, pair.identity) || !equal(inner.device, pair.device)) {
    throw new RangeError("the message claims to come from another device");
  }
  // Anyone can claim so; there is no session with oneself.
  if (equal(inner.device, own.keys.id)) return undecryptable("no-session");
  const tag = await consumedTag(inner);
  if (pair.consumed.some((each) => equal(each, tag))) return { outcome: "duplicate" };
  if (!inner.handshake) {
    for (const session of pair.sessions) {
      const found = await open(session, inner, agreementKey);
      if (typeof found !== "string") return opened(pair, session, found, tag);
      if (found !== "no-session") return undecryptable(found);
    }
    return undecryptable("no-session");
  }
  const named = await sessionId(inner.handshake);
  const known = pair.sessions.find((session) => equal(session.id, named));
  if (known) {
    const found = await open(known, inner, agreementKey);
    return typeof found === "string" ? undecryptable(found) : opened(pair, known, found, tag);
  }
  if (pair.ended.some((each) => equal(each, named))) return undecryptable("ended");
  return await accept(pair, own, prekeys, inner, inner.handshake, {
    tag,
    named,
    now,
    agreementKey,
  });
}

interface Accepting {
  tag: Bytes;
  named: Bytes;
  now: number;
  agreementKey: AgreementKeys;
}

/** The first message of a session that the peer has started. */
async function accept(
  pair: Pair,
  own: OwnDevice,
  prekeys: ReadonlyMap<number, Prekey>,
  inner: Inner,
  encoded: Bytes,
  { tag, named, now, agreementKey }: Accepting,
): Promise<Outcome> {
  let handshake: Handshake;
  let keys: SessionKeys;
  let prekey: Prekey | undefined;
  try {
    handshake = await parseHandshake(encoded);
    prekey = prekeys.get(handshake.prekeyId);
    if (!prekey) return undecryptable("unknown-prekey");
    keys = await respond(encoded, handshake, own, prekey, now);
  } catch (error) {
    if (error instanceof Malformed || error instanceof Expired) {
      return undecryptable("bad-handshake");
    }
    // The browser that made the prekey's private half cannot use it any more.
    if (error instanceof NotAKemValue) return undecryptable("unknown-prekey");
    throw error;
  }
  const candidate: Session = {
    id: named,
    transcript: keys.transcript,
    handshake: null,
    unansweredUntilHours: 0,
    onlyReceives: false,
    ratchet: startAsResponder(keys, prekey.agreement),
  };
  const found = await open(candidate, inner, agreementKey);
  if (typeof found === "string") {
    return undecryptable(found === "no-session" ? "tampered" : found);
  }
  const session: Session = { ...candidate, ratchet: found.ratchet };
  const active = activeSession(pair);
  const sessions =
    active?.handshake && wins(active, active.handshake, session, handshake.fresh)
      ? [active, session, ...pair.sessions.slice(1)]
      : inFront(session, pair.sessions, handshake.fresh);
  return {
    outcome: "opened",
    pair: consumed(withSessions(pair, sessions), tag),
    content: found.content,
    session: session.id,
    started: true,
    fresh: handshake.fresh,
  };
}

/** Both started at once: does the own start go on sending? */
function wins(active: Session, handshake: Bytes, other: Session, otherIsFresh: boolean): boolean {
  const isOwnFresh = isFresh(handshake);
  if (isOwnFresh !== otherIsFresh) return isOwnFresh;
  return compare(active.id, other.id) < 0;
}

async function open(
  session: Session,
  inner: Inner,
  agreementKey: AgreementKeys,
): Promise<{ ratchet: Ratchet; content: Bytes } | Reason> {
  try {
    const bound = concat(session.transcript, inner.prefix);
    const { ratchet, plaintext } = await decrypt(
      session.ratchet,
      inner.message,
      bound,
      agreementKey,
    );
    return { ratchet, content: unpad(plaintext) };
  } catch (error) {
    if (error instanceof RatchetError) return REASONS[error.flaw];
    if (error instanceof Malformed) return "bad-padding";
    throw error;
  }
}

function opened(
  pair: Pair,
  session: Session,
  { ratchet, content }: { ratchet: Ratchet; content: Bytes },
  tag: Bytes,
): Opened {
  const heard: Session = { ...session, ratchet, handshake: null, unansweredUntilHours: 0 };
  const sessions = session.onlyReceives
    ? pair.sessions.map((each) => (each === session ? heard : each))
    : [heard, ...pair.sessions.filter((each) => each !== session)];
  return {
    outcome: "opened",
    pair: consumed(withSessions(pair, sessions), tag),
    content,
    session: heard.id,
    started: false,
    fresh: false,
  };
}

function undecryptable(reason: Reason): Outcome {
  return { outcome: "undecryptable", reason };
}

function inFront(session: Session, others: readonly Session[], fresh: boolean): Session[] {
  const rest = fresh ? others.map((each) => ({ ...each, onlyReceives: true })) : others;
  return [session, ...rest];
}

function withSessions(pair: Pair, sessions: readonly Session[]): Pair {
  const over = sessions.slice(MAX_SESSIONS).map((session) => session.id);
  const ended = [...pair.ended, ...over].slice(-MAX_ENDED);
  return { ...pair, sessions: sessions.slice(0, MAX_SESSIONS), ended };
}

function consumed(pair: Pair, tag: Bytes): Pair {
  return { ...pair, consumed: [...pair.consumed, tag].slice(-CONSUMED_WINDOW) };
}
