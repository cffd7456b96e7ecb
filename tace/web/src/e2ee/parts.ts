/** Bodies that fit no message: split into parts, joined again in whatever order they come. */

import { type Bytes, concat, equal, hex } from "../wire/bytes";
import { Malformed, TaceError } from "../wire/errors";
import {
  type Body,
  decodeBody,
  encodeBody,
  Kind,
  kindOf,
  MAX_BODY_BYTES,
  MAX_PARTS,
  type Part,
} from "./content";

/** What a content with one part takes at most besides the piece, alone in its message. */
export const PART_OVERHEAD_BYTES = 96;
/** How many bodies one sender may have in the making here: 1 MiB. */
export const MAX_JOINING = 16;

/** More than can be sent in parts. */
export class TooLarge extends TaceError {
  constructor(message: string) {
    super("too-large", message);
  }
}

/**
 * The parts of a body for messages with that much room, each alone in its message.
 *
 * @param room the least of all devices it goes to.
 * @param whole 16 random bytes.
 * @throws TooLarge more than 64 KiB.
 */
export function split(body: Body, room: number, whole: Bytes): Part[] {
  const encoded = encodeBody(body);
  const pieceBytes = room - PART_OVERHEAD_BYTES;
  const count = Math.ceil(encoded.length / pieceBytes);
  if (encoded.length > MAX_BODY_BYTES || count > MAX_PARTS) {
    throw new TooLarge(`${encoded.length} bytes; at most ${MAX_BODY_BYTES} can be sent in parts`);
  }
  return Array.from({ length: count }, (_, index) => ({
    kind: Kind.PART,
    whole,
    of: kindOf(body),
    index,
    count,
    piece: encoded.slice(index * pieceBytes, (index + 1) * pieceBytes),
  }));
}

interface Making {
  of: number;
  count: number;
  bytes: number;
  pieces: Map<number, Bytes>;
}

/**
 * The bodies of one sender that are in the making: at most 16, each of at most 64 KiB. When a
 * seventeenth begins, the one that began first is given up.
 */
export class Joining {
  private readonly making = new Map<string, Making>();

  get size(): number {
    return this.making.size;
  }

  /**
   * The body, when this was the last part missing. A part that is there already is ignored.
   *
   * @throws Malformed it contradicts the other parts, or the body is too large or broken; all its
   *   parts are given up.
   */
  add(part: Part): Body | null {
    const name = hex(part.whole);
    let making = this.making.get(name);
    if (!making) {
      making = { of: part.of, count: part.count, bytes: 0, pieces: new Map() };
      this.making.set(name, making);
      const [oldest] = this.making.keys();
      if (this.making.size > MAX_JOINING && oldest !== undefined) this.making.delete(oldest);
    }
    const known = making.pieces.get(part.index);
    if (
      making.of !== part.of ||
      making.count !== part.count ||
      (known && !equal(known, part.piece))
    ) {
      this.making.delete(name);
      throw new Malformed("parts of one body contradict each other");
    }
    if (!known) {
      making.pieces.set(part.index, part.piece);
      making.bytes += part.piece.length;
    }
    if (making.bytes > MAX_BODY_BYTES) {
      this.making.delete(name);
      throw new Malformed(`a body in parts has at most ${MAX_BODY_BYTES} bytes`);
    }
    if (making.pieces.size < making.count) return null;
    this.making.delete(name);
    const pieces = [...making.pieces].sort(([a], [b]) => a - b).map(([, piece]) => piece);
    return decodeBody(making.of, concat(...pieces));
  }
}
