/**
 * What the database keeps, as values. Rows are never changed in place: a changed one is a new
 * object that is put in the old one's stead.
 *
 * Identities are base64url of the point, 44 characters; other ids are lower case hexadecimal, so
 * that keys of the database read like what people see. Bytes that are only carried stay bytes.
 */

import type { Prekey } from "../e2ee/prekeys";
import type { Pair } from "../e2ee/session";
import type { FileInfo, Identity, MessageId, MessageKind, MessageState } from "../engine/contract";
import type { KnownNode } from "../network/known-nodes";
import type { Bytes } from "../wire/bytes";

/** 32 bytes of a device's id as 64 hexadecimal digits. */
export type DeviceId = string;

/** Does a device know our name and our contacts mailbox? */
export const Introduction = {
  NOT_SENT: 0,
  /** They ride on everything until it confirms something. */
  SENT: 1,
  CONFIRMED: 2,
} as const;
export type Introduction = (typeof Introduction)[keyof typeof Introduction];

/** A single value under a name: settings, keys, what must outlive a reload. */
export interface MetaRow {
  name: string;
  value: unknown;
}

/** A person: somebody written to, added, or who wrote; and their chat. */
export interface PersonRow {
  identity: Identity;
  /** What they call themselves; "" when unknown. */
  name: string;
  /** Their record of kind 1 as it was found last. */
  deviceList: Bytes | null;
  /** When it was last asked for; 0: to be asked for. */
  lookedUpMs: number;
  /** The counter of the next thing we say to them. */
  nextCounter: number;
  alias: string;
  standing: "contact" | "request" | "blocked";
  verified: boolean;
  newDeviceSinceMs: number | null;
  unlistedDevice: boolean;
  /** Devices of theirs of which nothing is shown yet. Rows of earlier releases do not say so. */
  unchecked?: readonly UncheckedDevice[];
  muted: boolean;
  pinned: boolean;
  archived: boolean;
  retentionDays: number | null | "global";
  draft: string;
  /** Kept with every change of the history, so that the list needs nothing but these rows. */
  unread: number;
  firstUnread: MessageId | null;
  last: LastMessage | null;
  activeMs: number;
  /** The place of the newest message; the next one stands after it. */
  lastPlace: number;
}

/** A new device: its owner's list is to be looked at before anything of it is shown. */
export interface UncheckedDevice {
  device: DeviceId;
  /** What it calls its owner, known as their name once it was looked at; "" when it did not say. */
  name: string;
}

export interface LastMessage {
  mine: boolean;
  kind: MessageKind;
  text: string;
  sentMs: number;
  state: MessageState;
}

/** One device of a person: where to write to and what is shared with it. */
export interface DeviceRow {
  identity: Identity;
  device: DeviceId;
  /** Its record of kind 2; null where it only wrote to us so far. */
  record: Bytes | null;
  /** What envelopes to it are sealed to, from its record or its handshake. */
  inboxKey: Bytes | null;
  /** Where it wants our messages, once it said so. */
  contactsMailbox: Bytes | null;
  introduction: Introduction;
  /** The counter after the last one placed of what it sent; null before the first. */
  nextShown: number | null;
  /** When a new session was last asked of it. */
  resetMs: number;
  pair: Pair | null;
}

/** One line of a chat. */
export interface MessageRow {
  /** Unique in this browser. The content's id, but where two people gave theirs the same one. */
  id: MessageId;
  chat: Identity;
  /** The id that the two sides know it by: the content's, or of a text in parts its `whole`. */
  contentId: MessageId;
  /** 1 or 0: an index holds no booleans. */
  mine: 0 | 1;
  /** null until it is shown: then it stands in no order yet. */
  place: number | null;
  /** Set while it is received and not shown: the number in which it came. */
  unshown?: number;
  /** Set while it is received, shown and not read. */
  unread?: 1;
  /** Set while it is ours and no majority has it. */
  waiting?: 1;
  kind: MessageKind;
  text: string;
  sentMs: number;
  savedMs: number;
  state: MessageState;
  /** Sender's device; "" for our own. */
  device: DeviceId | "";
  counter: number;
  /** The counter of the edit that made the text; 0 when never edited. */
  editCounter: number;
  replyTo: MessageId | null;
  /** Of a received text in parts: the ids that a read receipt names. */
  partIds: MessageId[];
  /** Of a text of ours in parts: the first part's content id, which a read receipt names. */
  firstPart?: MessageId;
  myReaction: ReactionMark | null;
  theirReaction: ReactionMark | null;
  file: FileRow | null;
  delivery: Delivery | null;
}

export interface ReactionMark {
  emoji: string;
  counter: number;
}

/** A file that hangs on a message; what is needed to fetch it stands with it. */
export interface FileRow extends FileInfo {
  key: Bytes;
  expiresHours: number;
  hashes: Bytes[];
}

/** What is known of a message of ours on its way. */
export interface Delivery {
  copies: number;
  of: number;
  /** Origin of the node that said so. */
  node: string | null;
  storedMs: number | null;
  deliveredMs: number | null;
  readMs: number | null;
  refusal: string | null;
  parts: number;
  expiresMs: number;
}

/** The bytes of a file that is here. */
export interface FileBytesRow {
  id: MessageId;
  bytes: Bytes;
}

/**
 * An edit, a deletion or a reaction that waits: for its target, which is not here yet, or until the
 * device that said so was looked up.
 */
export interface LooseEndRow {
  chat: Identity;
  target: MessageId;
  /** Content id of the change itself. */
  id: MessageId;
  change: TargetChange;
  keptMs: number;
  /** Set while the device that said so is unchecked: it is applied to nothing until it is not. */
  device?: DeviceId;
}

export type TargetChange =
  | { what: "reaction"; emoji: string; counter: number }
  | { what: "edit"; text: string; counter: number }
  | { what: "delete"; counter: number };

/** A content that the recipient has not confirmed. */
export interface OutgoingRow {
  seq: number;
  id: MessageId;
  peer: Identity;
  /** For this device only; null: for every one they have. */
  device: DeviceId | null;
  /** The message of the history that it carries (a part of). */
  message: MessageId | null;
  content: Bytes;
  writtenMs: number;
  expiresHours: number;
  /** The message whose file has to be at the nodes before this is sent; null: nothing has. */
  upload: MessageId | null;
  /** 2: waits for its file; not to be encrypted yet. */
  addressed: 0 | 1 | 2;
}

/** One encrypted copy of an outgoing content, for one device. */
export interface ParcelRow {
  seq: number;
  outgoing: number;
  device: DeviceId;
  envelopeId: string;
  envelope: Bytes;
  /** It is for a mailbox that takes only stamped messages. */
  stamped: 0 | 1;
  /** Our name and contacts mailbox ride with it. Rows of earlier releases do not say so. */
  introduces?: boolean;
  state: "waiting" | "stored" | "acked";
  /** On how many of its `replicas` disks a node said it is. */
  copies: number;
  replicas: number;
  /** How often it was offered in this state. */
  attempts: number;
  /** When it is to be offered next; null: never again. */
  nextMs: number | null;
  refusal: string | null;
  /** While stored: the node that was asked last, by its id. Rows of earlier releases do not say. */
  asked?: string;
}

/** An envelope that was opened and saved: what comes again is let go of without another look. */
export interface OpenedRow {
  id: string;
  secret: Bytes;
  expiresHours: number;
}

/** An envelope that unsealed and could not be decrypted, kept for a day. */
export interface UnreadableRow {
  id: string;
  envelope: Bytes;
  peer: Identity;
  device: DeviceId;
  keptMs: number;
}

/** One part of a long body whose others are still missing. */
export interface PartRow {
  peer: Identity;
  whole: MessageId;
  number: number;
  contentId: MessageId;
  body: Bytes;
  keptMs: number;
}

/** A receipt that is still owed. state: 1 delivered, 2 read. */
export interface ReceiptRow {
  peer: Identity;
  id: MessageId;
  state: 1 | 2;
}

/** The private halves of a prekey, as the crypto keeps them. */
export interface PrekeyRow {
  id: number;
  prekey: Prekey;
}

/** A record of our own as it was last signed, and when a majority last had it. */
export interface OwnRecordRow {
  key: string;
  encoded: Bytes;
  publishedMs: number | null;
}

export interface Rows {
  meta: MetaRow;
  node: KnownNode;
  prekey: PrekeyRow;
  ownRecord: OwnRecordRow;
  person: PersonRow;
  device: DeviceRow;
  message: MessageRow;
  file: FileBytesRow;
  looseEnd: LooseEndRow;
  outgoing: OutgoingRow;
  parcel: ParcelRow;
  opened: OpenedRow;
  unreadable: UnreadableRow;
  part: PartRow;
  receipt: ReceiptRow;
}

export type TableName = keyof Rows;
