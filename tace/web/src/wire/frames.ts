/**
 * Client messages one after the other in the body of an HTTP request or answer
 * (docs/protocol/client.md): `length u32 | client message`, as many as there are.
 */

import { type Bytes, concat } from "./bytes";
import { HEAD_BYTES, MAX_CLIENT_MESSAGE_BYTES } from "./client";
import { ProtocolError } from "./errors";
import { u32Bytes } from "./layout";

/** The bounds of what a client sends at once. */
export const MAX_BODY_BYTES = 128 * 1024;
export const MAX_FRAMES = 64;
export const LENGTH_BYTES = 4;

export function joinFrames(messages: readonly Uint8Array[]): Bytes {
  return concat(...messages.flatMap((message) => [u32Bytes(message.length), message]));
}

/** @throws ProtocolError lengths that do not fit the body. */
export function splitFrames(body: Uint8Array): Uint8Array[] {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const messages: Uint8Array[] = [];
  for (let at = 0; at < body.length; ) {
    if (at + LENGTH_BYTES > body.length) throw new ProtocolError("a body ends inside a length");
    const length = view.getUint32(at);
    at += LENGTH_BYTES;
    if (length < HEAD_BYTES || length > MAX_CLIENT_MESSAGE_BYTES) {
      throw new ProtocolError(`a client message of ${length} bytes`);
    }
    if (at + length > body.length) throw new ProtocolError("a body ends inside a message");
    messages.push(body.subarray(at, at + length));
    at += length;
  }
  return messages;
}
