/**
 * The messages between a client and a node (docs/protocol/client.md).
 *
 * `type u16 | request id u32 | body`; numbers from 256, only ever appended. Request id 0 marks what
 * is not an answer.
 */

import { type Bytes, concat } from "./bytes";
import { ProtocolError } from "./errors";
import {
  bool,
  bytes,
  bytes32,
  type Given,
  line,
  list,
  optional,
  publicKey,
  type Shape,
  signature,
  structure,
  text,
  u8,
  u16,
  u32,
  u63,
  word,
} from "./fields";
import {
  encodeBody,
  type MessageKind,
  type MessageOf,
  MessageTable,
  message,
  request,
} from "./message";
import { ENVELOPE_BYTES, TOMBSTONE_BYTES } from "./objects";

export const SUBPROTOCOL = "tace.client.1";
export const PROTOCOL_VERSION = 1;
export const MAX_CLIENT_MESSAGE_BYTES = 66 * 1024;
export const HEAD_BYTES = 6;
export const MAX_MAILBOXES = 8;
export const MAX_ENVELOPES = 16;
export const MAX_TOMBSTONES = 60;
export const MAX_REMOVALS = 4;
export const MAX_DEFERRED = 64;
/** A sealed chunk of a file, as nodes keep it. */
export const CHUNK_BYTES = 63_488;

/** @throws TypeError the values are not as declared, or too long: this program's fault. */
export function encodeClientMessage<S extends Shape>(
  kind: MessageKind<S>,
  values: Given<S>,
  requestId: number,
): Bytes {
  const head = new Uint8Array(HEAD_BYTES);
  const view = new DataView(head.buffer);
  view.setUint16(0, kind.number);
  view.setUint32(2, requestId);
  const encoded = concat(head, encodeBody(kind, values));
  if (encoded.length > MAX_CLIENT_MESSAGE_BYTES) {
    throw new TypeError(`${kind.name}: ${encoded.length} bytes`);
  }
  return encoded;
}

/** @throws ProtocolError shorter than its header, or longer than a message may be. */
export function splitClientMessage(data: Uint8Array): {
  number: number;
  requestId: number;
  body: Uint8Array;
} {
  if (data.length < HEAD_BYTES || data.length > MAX_CLIENT_MESSAGE_BYTES) {
    throw new ProtocolError(`a client message of ${data.length} bytes`);
  }
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return {
    number: view.getUint16(0),
    requestId: view.getUint32(2),
    body: data.subarray(HEAD_BYTES),
  };
}

const envelope = bytes(ENVELOPE_BYTES);
const nodeRecord = bytes(65, 1024);
const userRecord = bytes(145, 8192);
const removal = bytes(99, 2403);

// -- opening --------------------------------------------------------------------------------------

/** The node speaks first. `names` are the origins a lease may be signed for. */
export const Challenge = message("Challenge", 256, {
  challenge: bytes32,
  clockMs: u63,
  networkId: bytes32,
  nodeId: bytes32,
  names: list(text(200), 16),
  versions: list(u8, 8),
  software: word,
  requestsStampBits: u8,
  maxLifetimeHours: u32,
  requestsInFlight: u16,
});
export type Challenge = MessageOf<typeof Challenge>;

/** The answer that says no. With request id 0: why the node closes the connection. */
export const ClientRefused = message("ClientRefused", 257, {
  code: word,
  detail: optional(line, ""),
  retryAfterMs: optional(u32, 0),
});
export type ClientRefused = MessageOf<typeof ClientRefused>;

export const ClientPong = message("ClientPong", 258, { clockMs: u63 });
export type ClientPong = MessageOf<typeof ClientPong>;

export const ClientPing = request("ClientPing", 259, {}, ClientPong);

export const ClientDone = message("ClientDone", 260, {});

// -- inbox connections ----------------------------------------------------------------------------

/** A lease as "./lease" signs it, field by field. */
const leaseField = structure({
  mailboxKey: publicKey,
  kind: u8,
  origin: text(200),
  challenge: bytes32,
  expiresSeconds: u63,
  signature,
});

/** Makes this an inbox connection and opens, or renews, one mailbox. */
export const OpenLease = request("OpenLease", 261, { lease: leaseField }, ClientDone);

/** Pushes what waits in the leased mailboxes, then CaughtUp for each, then what arrives. */
export const StartWatch = request(
  "StartWatch",
  262,
  { mailboxes: list(bytes32, MAX_MAILBOXES, 1), window: optional(u16, 64) },
  ClientDone,
);

/** A message for a watched mailbox. May come again. */
export const Push = message("Push", 263, { envelope });

/** Everything that waited when the watch began has been pushed. */
export const CaughtUp = message("CaughtUp", 264, {
  mailbox: bytes32,
  complete: optional(bool, true),
});

/** One result for each tombstone, then for each removal. */
export const AckAnswer = message("AckAnswer", 265, {
  results: list(structure({ code: word, secret: optional(bytes(0, 16), new Uint8Array()) }), 64),
});
export type AckAnswer = MessageOf<typeof AckAnswer>;

/** Lets go of messages: tombstones for those that were opened, removals for junk. */
export const Ack = request(
  "Ack",
  266,
  {
    tombstones: list(
      structure({ mailbox: bytes32, tombstone: bytes(TOMBSTONE_BYTES) }),
      MAX_TOMBSTONES,
    ),
    removals: optional(list(removal, MAX_REMOVALS), []),
  },
  AckAnswer,
);

/** One-way: these stay in the mailbox and no longer count against the window. */
export const Defer = message("Defer", 267, { ids: list(bytes32, MAX_DEFERRED) });

// -- outbox connections ---------------------------------------------------------------------------

/** What became of one envelope; the states are in docs/protocol/client.md, section 5. */
const sendResult = structure({
  state: word,
  copies: optional(u8, 0),
  of: optional(u8, 0),
  secret: optional(bytes(0, 16), new Uint8Array()),
  retryAfterMs: optional(u32, 0),
  detail: optional(line, ""),
});

export const SendAnswer = message("SendAnswer", 270, { results: list(sendResult, MAX_ENVELOPES) });
export type SendAnswer = MessageOf<typeof SendAnswer>;
export type SendResult = SendAnswer["results"][number];

/** Stores envelopes; sending one again is harmless. */
export const Send = request("Send", 271, { envelopes: list(envelope, MAX_ENVELOPES) }, SendAnswer);

/** The record that was asked for; empty where nobody has one. */
export const ClientRecord = message("ClientRecord", 272, { record: bytes(0, 8192) });

export const FindRecord = request("FindRecord", 273, { key: bytes32 }, ClientRecord);

export const RecordPublished = message("RecordPublished", 274, { state: word, copies: u8, of: u8 });
export type RecordPublished = MessageOf<typeof RecordPublished>;

/** Stores a user record. */
export const PublishRecord = request("PublishRecord", 275, { record: userRecord }, RecordPublished);

export const BlobStored = message("BlobStored", 276, { state: word, copies: u8, of: u8 });
export type BlobStored = MessageOf<typeof BlobStored>;

/** Stores one sealed chunk of a file under its hash, until `expiresHours`. */
export const PutBlob = request(
  "PutBlob",
  277,
  { blob: bytes(CHUNK_BYTES), expiresHours: u32, stampTarget: u8, stampNonce: u63 },
  BlobStored,
);

/** The chunk that was asked for; empty where nobody has it. */
export const BlobFound = message("BlobFound", 278, { blob: bytes(0, CHUNK_BYTES) });

export const GetBlob = request("GetBlob", 279, { hash: bytes32 }, BlobFound);

// -- what anyone may know -------------------------------------------------------------------------

/** Nodes to talk to: signed records (the answering node's own first), and the size it sees. */
export const NetworkInfo = message("NetworkInfo", 280, {
  records: list(nodeRecord, 32),
  members: u32,
  state: word,
});
export type NetworkInfo = MessageOf<typeof NetworkInfo>;

export const GetNetwork = request("GetNetwork", 281, {}, NetworkInfo);

/**
 * What anyone may know of this node. `state`: joining, member, alone, leaving, draining, full,
 * damaged. `tried`: of a node that is alone, whom it tried to reach last, and why that failed.
 * `silent`: so many nodes went silent about the same time and are still gone, since `silentSince`
 * (unix seconds; 0 where there are none).
 */
export const StatusInfo = message("StatusInfo", 282, {
  nodeId: bytes32,
  networkId: bytes32,
  version: word,
  positions: list(
    structure({ id: bytes32, predecessor: bytes(0, 32), successors: list(bytes32, 64) }),
    8,
  ),
  members: u32,
  items: u63,
  bytes: u63,
  state: word,
  tried: optional(list(line, 8), []),
  silent: optional(u32, 0),
  silentSince: optional(u63, 0),
});
export type StatusInfo = MessageOf<typeof StatusInfo>;

export const GetStatus = request("GetStatus", 283, {}, StatusInfo);

/** All of them, by number. */
export const CLIENT_MESSAGES = new MessageTable([
  Challenge,
  ClientRefused,
  ClientPong,
  ClientPing,
  ClientDone,
  OpenLease,
  StartWatch,
  Push,
  CaughtUp,
  AckAnswer,
  Ack,
  Defer,
  SendAnswer,
  Send,
  ClientRecord,
  FindRecord,
  RecordPublished,
  PublishRecord,
  BlobStored,
  PutBlob,
  BlobFound,
  GetBlob,
  NetworkInfo,
  GetNetwork,
  StatusInfo,
  GetStatus,
]);
