/**
 * The inner message: what lies in the seal beside the lock's secret, always 3,455 bytes.
 *
 * Two kinds, told apart by the first byte. Both name the sender's identity and device; that is a
 * claim, proved only when a session with that device opens the rest (e2ee.md, section 6).
 */

import { type Bytes, concat } from "../wire/bytes";
import { Malformed } from "../wire/errors";
import { LayoutReader, u16Bytes } from "../wire/layout";
import { BLOB_BYTES, SECRET_BYTES } from "../wire/objects";
import { hash, POINT_BYTES } from "./crypto";
import { deviceId } from "./device";
import { E2eeLabel } from "./labels";
import { HANDSHAKE_BYTES } from "./pqxdh";
import { OVERHEAD_BYTES } from "./ratchet";

/** The uncompressed ephemeral point, and the tag. */
const HPKE_BYTES = 65 + 16;
export const INNER_BYTES = BLOB_BYTES - HPKE_BYTES - SECRET_BYTES;
const IN_SESSION = 1;
const WITH_HANDSHAKE = 2;
const CLAIM_BYTES = POINT_BYTES + 32;
const LENGTH_BYTES = 2;
/** How many bytes of content fit once the peer has answered: 3,298. */
export const ROOM_IN_SESSION = INNER_BYTES - 1 - CLAIM_BYTES - OVERHEAD_BYTES - LENGTH_BYTES;
/** How many bytes of content fit while the handshake rides along: 2,070. */
export const ROOM_WITH_HANDSHAKE =
  INNER_BYTES - 1 - HANDSHAKE_BYTES - OVERHEAD_BYTES - LENGTH_BYTES;
/** In type 2 the certificate follows the flags: the identity first, then the device key. */
const IDENTITY_AT = 2;
const CONSUMED_TAG_BYTES = 8;

/** An inner message, taken apart; nothing in it is verified yet. */
export interface Inner {
  /** Who claims to have sent it: 33 bytes, not even known to be a point. */
  readonly identity: Bytes;
  /** The device id that is claimed. */
  readonly device: Bytes;
  readonly handshake: Bytes | null;
  /** Everything before the ratchet message; part of its associated data. */
  readonly prefix: Bytes;
  readonly message: Bytes;
}

/** @throws Malformed wrong length, or a type that is not known here. */
export async function parseInner(encoded: Bytes): Promise<Inner> {
  if (encoded.length !== INNER_BYTES) {
    throw new Malformed(`an inner message has ${INNER_BYTES} bytes, not ${encoded.length}`);
  }
  if (encoded[0] === IN_SESSION) {
    const end = 1 + CLAIM_BYTES;
    return {
      identity: encoded.slice(1, 1 + POINT_BYTES),
      device: encoded.slice(1 + POINT_BYTES, end),
      handshake: null,
      prefix: encoded.slice(0, end),
      message: encoded.slice(end),
    };
  }
  if (encoded[0] === WITH_HANDSHAKE) {
    const end = 1 + HANDSHAKE_BYTES;
    const reader = new LayoutReader(encoded.subarray(IDENTITY_AT));
    const identity = reader.bytes(POINT_BYTES);
    return {
      identity,
      device: await deviceId(reader.bytes(POINT_BYTES)),
      handshake: encoded.slice(1, end),
      prefix: encoded.slice(0, end),
      message: encoded.slice(end),
    };
  }
  throw new Malformed(`inner message type ${encoded[0]} is not known here`);
}

/** H("tace consumed 1" ‖ inner message)[:8]: by which a replay is known. */
export async function consumedTag(inner: Inner): Promise<Bytes> {
  const whole = await hash(E2eeLabel.CONSUMED, inner.prefix, inner.message);
  return whole.slice(0, CONSUMED_TAG_BYTES);
}

export function prefixInSession(identity: Bytes, device: Bytes): Bytes {
  return concat(Uint8Array.of(IN_SESSION), identity, device);
}

export function prefixWithHandshake(handshake: Bytes): Bytes {
  return concat(Uint8Array.of(WITH_HANDSHAKE), handshake);
}

/** `length u16 ‖ content ‖ zeros`: room + 2 bytes whatever the content. */
export function pad(content: Bytes, room: number): Bytes {
  if (content.length > room)
    throw new RangeError(`${content.length} bytes do not fit into ${room}`);
  return concat(u16Bytes(content.length), content, new Uint8Array(room - content.length));
}

/** @throws Malformed the length does not fit, or what follows the content is not zero. */
export function unpad(padded: Bytes): Bytes {
  if (padded.length < LENGTH_BYTES) throw new Malformed("the padding is not what it should be");
  const end = LENGTH_BYTES + new LayoutReader(padded).u16();
  if (end > padded.length || padded.subarray(end).some((byte) => byte !== 0)) {
    throw new Malformed("the padding is not what it should be");
  }
  return padded.slice(LENGTH_BYTES, end);
}
