/**
 * What people and their clients say to each other: the contents inside a ratchet message.
 *
 * The plaintext is a MessagePack array of 1 to 8 contents, each `[kind u8, id 16, counter, sent_ms,
 * reply_to, body]`; the body is an array laid out by the kind (docs/protocol/e2ee.md, section 9).
 */

import { Encoder } from "@msgpack/msgpack";
import { type Bytes, concat, utf8 } from "../wire/bytes";
import { Malformed, ProtocolError } from "../wire/errors";
import {
  bytes,
  bytes16,
  bytes32,
  type Field,
  list,
  NotAsDeclared,
  structure,
  text,
  u8,
  u32,
} from "../wire/fields";
import { decodeBody as decodeValue } from "../wire/message";
import { KIND_CONTACTS } from "../wire/objects";

export const MAX_CONTENTS = 8;
/** The longest body, in parts; also the longest text, in bytes. */
export const MAX_BODY_BYTES = 64 * 1024;
export const MAX_PARTS = 64;
export const MAX_RECEIPTS = 100;
export const MAX_UNREAD = 32;
export const MAX_EMOJI_BYTES = 32;
export const MAX_FILE_CHUNKS = 1024;
/** What a chunk of a file holds. */
export const PIECE_BYTES = 63_472;
export const DELIVERED = 1;
export const READ = 2;

/** The numbers of kinds: only ever appended. Those without a body below are reserved. */
export const Kind = {
  TEXT: 1,
  PART: 2,
  RECEIPT: 3,
  SESSION_REQUEST: 4,
  PROFILE: 5,
  CONTACTS_MAILBOX: 6,
  REACTION: 7,
  EDIT: 8,
  DELETE: 9,
  FILE: 10,
  TIMER: 11,
  DUMMY: 12,
  OWN_COPY: 13,
} as const;

/** Plain text, shown as such. */
export interface Text {
  readonly kind: typeof Kind.TEXT;
  readonly text: string;
}

/** One piece of a body that fits no message. */
export interface Part {
  readonly kind: typeof Kind.PART;
  /** What its parts have in common, drawn at random. */
  readonly whole: Bytes;
  /** The kind of the body that the pieces make when laid end to end. */
  readonly of: number;
  readonly index: number;
  readonly count: number;
  readonly piece: Bytes;
}

/** 1 delivered, 2 read; 1 to 100 content ids. Never receipted. */
export interface Receipt {
  readonly kind: typeof Kind.RECEIPT;
  readonly state: number;
  readonly ids: readonly Bytes[];
}

/** Those envelopes could not be read; send again what was in them. */
export interface SessionRequest {
  readonly kind: typeof Kind.SESSION_REQUEST;
  readonly unread: readonly Bytes[];
}

/** What the sender wants to be called. */
export interface Profile {
  readonly kind: typeof Kind.PROFILE;
  readonly name: string;
}

/** Where this device takes messages from the recipient from now on. */
export interface ContactsMailbox {
  readonly kind: typeof Kind.CONTACTS_MAILBOX;
  readonly mailbox: Bytes;
}

/** What one feels about a content; "" takes it away. */
export interface ReactionBody {
  readonly kind: typeof Kind.REACTION;
  readonly target: Bytes;
  readonly emoji: string;
}

/** Another text in the place of one's own. */
export interface Edit {
  readonly kind: typeof Kind.EDIT;
  readonly target: Bytes;
  readonly text: string;
}

/** One's own content is taken back. */
export interface Delete {
  readonly kind: typeof Kind.DELETE;
  readonly target: Bytes;
}

/** A file in sealed chunks at the nodes. */
export interface FileBody {
  readonly kind: typeof Kind.FILE;
  readonly name: string;
  /** A media type, as the sender declares it. */
  readonly type: string;
  readonly bytes: number;
  readonly key: Bytes;
  readonly expiresHours: number;
  /** SHA-256 of each sealed chunk. */
  readonly hashes: readonly Bytes[];
}

/** A kind this version does not know, from a newer one. Shown as such, acked, receipted. */
export interface Unknown {
  readonly kind: "unknown";
  readonly number: number;
  readonly encoded: Bytes;
}

export type Body =
  | Text
  | Part
  | Receipt
  | SessionRequest
  | Profile
  | ContactsMailbox
  | ReactionBody
  | Edit
  | Delete
  | FileBody
  | Unknown;

/** One thing said. */
export interface Content {
  /** 16 random bytes, the same to every device and in every repetition. */
  readonly id: Bytes;
  /** Place in the sender's side of the conversation: 1, 2, 3 …; 0 for what has no place. */
  readonly counter: number;
  /** The sender's clock, in milliseconds since 1970; shown, never trusted. */
  readonly sentMs: number;
  /** The id of the content it answers. */
  readonly replyTo: Bytes | null;
  readonly body: Body;
}

// -- how bodies are laid out ----------------------------------------------------------------------

/** A whole number that JavaScript holds exactly. */
const whole: Field<number> = {
  read(value) {
    const number = typeof value === "bigint" ? Number(value) : value;
    if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0) {
      throw new NotAsDeclared("not a whole number below 2^53");
    }
    return number;
  },
  write: (value) => (value > 0xffff_ffff ? BigInt(value) : value),
};

function ranged(field: Field<number>, least: number, most: number): Field<number> {
  return {
    read(value) {
      const number = field.read(value);
      if (number < least || number > most) throw new NotAsDeclared("a number out of range");
      return number;
    },
    write: field.write,
  };
}

/** A text of at most so many bytes in UTF-8. */
function shortText(mostBytes: number): Field<string> {
  const field = text(mostBytes);
  return {
    read(value) {
      const read = field.read(value);
      if (utf8(read).length > mostBytes) throw new NotAsDeclared("a text that is too long");
      return read;
    },
    write: field.write,
  };
}

const LAYOUTS = {
  [Kind.TEXT]: { text: text(MAX_BODY_BYTES) },
  [Kind.PART]: {
    whole: bytes16,
    of: u8,
    index: ranged(u8, 0, MAX_PARTS - 1),
    count: ranged(u8, 1, MAX_PARTS),
    piece: bytes(1, MAX_BODY_BYTES),
  },
  [Kind.RECEIPT]: { state: u8, ids: list(bytes16, MAX_RECEIPTS, 1) },
  [Kind.SESSION_REQUEST]: { unread: list(bytes32, MAX_UNREAD) },
  [Kind.PROFILE]: { name: text(64) },
  [Kind.CONTACTS_MAILBOX]: { mailbox: bytes32 },
  [Kind.REACTION]: { target: bytes16, emoji: shortText(MAX_EMOJI_BYTES) },
  [Kind.EDIT]: { target: bytes16, text: text(MAX_BODY_BYTES) },
  [Kind.DELETE]: { target: bytes16 },
  [Kind.FILE]: {
    name: text(255),
    type: text(127),
    bytes: whole,
    key: bytes32,
    expiresHours: u32,
    hashes: list(bytes32, MAX_FILE_CHUNKS, 1),
  },
} as const;
type KnownKind = keyof typeof LAYOUTS;

function isKnown(kind: number): kind is KnownKind {
  return Object.hasOwn(LAYOUTS, kind);
}

/** What several fields rule together. @throws Malformed */
function check(body: Body): void {
  switch (body.kind) {
    case Kind.PART:
      if (body.index >= body.count || body.of === Kind.PART) {
        throw new Malformed("a part whose place cannot be");
      }
      break;
    case Kind.CONTACTS_MAILBOX:
      if (body.mailbox.at(-1) !== KIND_CONTACTS) throw new Malformed("no contacts mailbox");
      break;
    case Kind.FILE: {
      const least = (body.hashes.length - 1) * PIECE_BYTES;
      const isEmpty = body.bytes === 0 && body.hashes.length === 1;
      if (!isEmpty && (body.bytes <= least || body.bytes > least + PIECE_BYTES)) {
        throw new Malformed("a file whose size does not fit its chunks");
      }
      break;
    }
  }
}

// -- bytes ----------------------------------------------------------------------------------------

export function kindOf(body: Body): number {
  return body.kind === "unknown" ? body.number : body.kind;
}

/** Its MessagePack array. */
export function encodeBody(body: Body): Bytes {
  return body.kind === "unknown" ? body.encoded : encoded(bodyValues(body));
}

/** @throws Malformed not what that kind declares. */
export function decodeBody(kind: number, encodedBody: Bytes): Body {
  if (!isKnown(kind)) return { kind: "unknown", number: kind, encoded: encodedBody };
  const body = read(kind, (field) => decodeValue(`content of kind ${kind}`, field, encodedBody));
  check(body);
  return body;
}

/**
 * The plaintext of one message.
 *
 * @throws RangeError none, or more than 8.
 */
export function encodeContents(contents: readonly Content[]): Bytes {
  if (contents.length < 1 || contents.length > MAX_CONTENTS) {
    throw new RangeError(`a message holds 1 to ${MAX_CONTENTS} contents, not ${contents.length}`);
  }
  const parts = contents.map((content) => {
    const { body, counter, sentMs, id, replyTo } = content;
    const head = [kindOf(body), id, whole.write(counter), whole.write(sentMs), replyTo];
    // The body's own bytes stand behind the five fields, in an array of six: a body of an unknown
    // kind is passed on as it came.
    return concat(Uint8Array.of(0x96), encoded(head).subarray(1), encodeBody(body));
  });
  return concat(Uint8Array.of(0x90 + contents.length), ...parts);
}

const optionalId: Field<Bytes | null> = {
  read: (value) => (value === null ? null : bytes16.read(value)),
  write: (value) => value,
};
/** Whatever stands there: what it must be is said by its kind, which may not be known here. */
const raw: Field<unknown> = { read: (value) => value, write: (value) => value };
const contentsField = list(
  structure({
    kind: u8,
    id: bytes16,
    counter: whole,
    sentMs: whole,
    replyTo: optionalId,
    body: raw,
  }),
  MAX_CONTENTS,
  1,
);

/** @throws Malformed not an array of 1 to 8 contents, or one of them is not what it says. */
export function decodeContents(plaintext: Bytes): Content[] {
  const found = malformed("contents", () => decodeValue("contents", contentsField, plaintext));
  return found.map(({ kind, body, ...rest }) => {
    if (!isKnown(kind)) {
      return { ...rest, body: { kind: "unknown", number: kind, encoded: again(kind, body) } };
    }
    const known = read(kind, (field) => field.read(body));
    check(known);
    return { ...rest, body: known };
  });
}

/** Reads a body of a known kind. @throws Malformed */
function read(kind: KnownKind, from: (field: Field<object>) => object): Body {
  // The layout of a kind has exactly the fields of that kind's interface.
  const field = structure(LAYOUTS[kind]) as Field<object>;
  return { kind, ...malformed(`content of kind ${kind}`, () => from(field)) } as Body;
}

function bodyValues(body: Exclude<Body, Unknown>): unknown {
  const field = structure(LAYOUTS[body.kind]) as Field<object>;
  return field.write(body);
}

function malformed<T>(name: string, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (error instanceof NotAsDeclared) throw new Malformed(`${name}: ${error.message}`);
    if (error instanceof ProtocolError) throw new Malformed(error.message);
    throw error;
  }
}

/** A body of an unknown kind as bytes again. @throws Malformed nested deeper than anything is. */
function again(kind: number, body: unknown): Bytes {
  try {
    return encoded(body);
  } catch {
    // What was decoded is a value of MessagePack; the encoder refuses nothing of it but its depth.
    throw new Malformed(`content of kind ${kind}: nested too deep`);
  }
}

function encoded(value: unknown): Bytes {
  return new Encoder({ useBigInt64: true }).encode(value);
}
