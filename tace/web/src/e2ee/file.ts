/**
 * Files: cut into pieces, each sealed into a chunk that nodes keep under its hash
 * (docs/protocol/e2ee.md, section 9).
 */

import { type Bytes, concat, utf8 } from "../wire/bytes";
import { sha256 } from "../wire/digest";
import { Malformed } from "../wire/errors";
import { u32Bytes } from "../wire/layout";
import { PIECE_BYTES } from "./content";
import { aeadOpen, aeadSeal, NONCE_BYTES, TAG_BYTES, WrongKeyOrData } from "./crypto";
import { E2eeLabel } from "./labels";

/** A chunk as nodes keep it: the piece and a tag, 63,488 bytes. */
export const CHUNK_BYTES = PIECE_BYTES + TAG_BYTES;
export const FILE_KEY_BYTES = 32;
export { PIECE_BYTES };

/** In how many chunks a file of that many bytes goes. */
export function chunksOf(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / PIECE_BYTES));
}

/**
 * One chunk of a file; the last piece is filled up with zeros.
 *
 * @param key 32 random bytes, for this file alone.
 * @throws RangeError a piece that is too long.
 */
export async function sealChunk(
  key: Bytes,
  index: number,
  count: number,
  piece: Bytes,
): Promise<Bytes> {
  if (piece.length > PIECE_BYTES) throw new RangeError("the piece is too long");
  const padded = concat(piece, new Uint8Array(PIECE_BYTES - piece.length));
  return await aeadSeal(key, nonceOf(index), padded, boundTo(count));
}

/**
 * The piece with its filling.
 *
 * @throws Malformed it is not that chunk of that file.
 */
export async function openChunk(
  key: Bytes,
  index: number,
  count: number,
  chunk: Bytes,
): Promise<Bytes> {
  try {
    return await aeadOpen(key, nonceOf(index), chunk, boundTo(count));
  } catch (error) {
    if (error instanceof WrongKeyOrData) throw new Malformed("the chunk does not open");
    throw error;
  }
}

/** What a chunk is kept under. */
export function chunkHash(chunk: Bytes): Promise<Bytes> {
  return sha256(chunk);
}

/** One key is for one file, so its chunks are told apart by their number alone. */
function nonceOf(index: number): Bytes {
  return concat(new Uint8Array(NONCE_BYTES - 4), u32Bytes(index));
}

/** The number of chunks, so that nobody can cut a file short. */
function boundTo(count: number): Bytes {
  return concat(utf8(E2eeLabel.FILE), u32Bytes(count));
}
