/**
 * The signed node record (docs/protocol/peer.md, 6.4): all that is believed about a node, and it
 * says so itself. `body | signature 64`; a record of one network means nothing in another.
 */

import { type Bytes, concat, fromHex } from "./bytes";
import { digest, Label, labelled, type Points } from "./digest";
import { BadRecord, ProtocolError } from "./errors";
import {
  bool,
  bytes,
  list,
  publicKey,
  structure,
  text,
  u8,
  u32,
  u63,
  type Values,
  word,
} from "./fields";
import { decodeBody } from "./message";

export const MAX_NODE_RECORD_BYTES = 1024;
const SIGNATURE = 64;

const shape = {
  version: u8,
  identityKey: publicKey,
  peerAddresses: list(text(128), 4),
  clientUrls: list(text(128), 4),
  boot: u63,
  sequence: u63,
  positionMask: u8,
  capacity: u32,
  zone: word,
  full: bool,
  awayUntilSeconds: u63,
  software: word,
  protocols: list(u8, 8),
  proofOfWork: bytes(0, 64),
  expiresSeconds: u63,
};
const body = structure(shape);

/** A verified node record. */
export interface NodeRecord extends Values<typeof shape> {
  readonly nodeId: Bytes;
}

// The DER of a SubjectPublicKeyInfo up to the point, for id-ecPublicKey on prime256v1 (RFC 5480).
const SPKI_HEAD = fromHex("3059301306072a8648ce3d020106082a8648ce3d030107034200");

/**
 * H("tace node 1" | SPKI): the DER SubjectPublicKeyInfo with the uncompressed point.
 *
 * @throws when it is not a point on the curve.
 */
export async function nodeId(identityKey: Uint8Array, points: Points): Promise<Bytes> {
  return digest(Label.node, concat(SPKI_HEAD, await points.uncompress(identityKey)));
}

/** @throws BadRecord too large, not a record, or not signed by the key it names. */
export async function parseNodeRecord(
  encoded: Uint8Array,
  networkId: Uint8Array,
  points: Points,
): Promise<NodeRecord> {
  if (encoded.length <= SIGNATURE || encoded.length > MAX_NODE_RECORD_BYTES) {
    throw new BadRecord(`a node record of ${encoded.length} bytes`);
  }
  const signed = encoded.subarray(0, -SIGNATURE);
  const values = read(signed);
  const message = labelled(Label.nodeRecord, networkId, signed);
  if (!(await points.verify(values.identityKey, encoded.subarray(-SIGNATURE), message))) {
    throw new BadRecord("the node record is not signed by its key for this network");
  }
  return { ...values, nodeId: await nodeId(values.identityKey, points) };
}

function read(signed: Uint8Array): Values<typeof shape> {
  try {
    const values = decodeBody("node record", body, signed);
    if (values.version < 1 || values.positionMask < 1) {
      throw new BadRecord("node record: a number out of range");
    }
    return values;
  } catch (error) {
    if (error instanceof ProtocolError) throw new BadRecord(error.detail);
    throw error;
  }
}
