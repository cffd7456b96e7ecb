/**
 * What the MessagePack library reads and no message may hold: floats, which nobody can tell from
 * integers once they are JavaScript's numbers, and text that is not UTF-8, which the library turns
 * into other characters, some of them of bytes behind the text.
 */

import { NotAsDeclared } from "./fields";

const FLOATS: readonly number[] = [0xca, 0xcb];
/** Of the formats that say how long they are: in how many bytes. */
const LENGTH_BYTES: ReadonlyMap<number, 1 | 2 | 4> = new Map([
  [0xc4, 1],
  [0xc5, 2],
  [0xc6, 4],
  [0xc7, 1],
  [0xc8, 2],
  [0xc9, 4],
  [0xd9, 1],
  [0xda, 2],
  [0xdb, 4],
]);
/** Of the formats 0xc0 to 0xdf: how many bytes follow besides a length and what it counts. */
const FOLLOWING = [
  ...[0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 4, 8, 1, 2, 4, 8],
  ...[1, 2, 4, 8, 2, 3, 5, 9, 17, 0, 0, 0, 2, 4, 2, 4],
];

/**
 * @param body what the library decoded without an error.
 * @throws NotAsDeclared
 */
export function checkFormats(body: Uint8Array): void {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const text = new TextDecoder("utf-8", { fatal: true });
  let at = 0;
  while (at < body.length) {
    const format = view.getUint8(at);
    at += 1;
    if (FLOATS.includes(format)) throw new NotAsDeclared("a float");
    const isShortText = format >= 0xa0 && format < 0xc0;
    let size = isShortText ? format & 31 : 0;
    if (format >= 0xc0 && format < 0xe0) size = FOLLOWING[format - 0xc0] ?? 0;
    const lengthBytes = LENGTH_BYTES.get(format);
    if (lengthBytes) {
      size += unsigned(view, at, lengthBytes);
      at += lengthBytes;
    }
    if (isShortText || (format >= 0xd9 && format <= 0xdb)) {
      try {
        text.decode(body.subarray(at, at + size));
      } catch {
        throw new NotAsDeclared("a text that is not UTF-8");
      }
    }
    at += size;
  }
}

function unsigned(view: DataView, at: number, bytes: 1 | 2 | 4): number {
  if (bytes === 1) return view.getUint8(at);
  return bytes === 2 ? view.getUint16(at) : view.getUint32(at);
}
