/** How large a text is on the way, so that people know before they send (docs/protocol/e2ee.md, section 9). */

/** What all parts together carry is 64 KiB; an edit's target and the body's frame are in it, too. */
export const MAX_TEXT_BYTES = 65_536 - 24;
/** Bytes of one file: one chunk. */
export const MAX_FILE_BYTES = 63_472;

/** Room for content in a message that still carries the handshake: always good. */
const LEAST_ROOM_BYTES = 2_070;
const PART_OVERHEAD_BYTES = 96;
/** Kind, id, counter, time, the message replied to and the array's head, at their longest. */
const CONTENT_OVERHEAD_BYTES = 64;
/** The body's array and the text's length. */
const BODY_OVERHEAD_BYTES = 6;

export interface TextMeasure {
  /** Of UTF-8. */
  bytes: number;
  /** The most parts it goes in; 1 where it fits into one message. */
  parts: number;
  fits: boolean;
}

/** UTF-8 bytes without encoding: this runs at every key. A lone surrogate counts as its replacement. */
export function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let at = 0; at < text.length; at += 1) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (unit >= 0xd800 && unit < 0xdc00 && isLow(text.charCodeAt(at + 1))) {
      bytes += 4;
      at += 1;
    } else bytes += 3;
  }
  return bytes;
}

export function measureText(text: string): TextMeasure {
  const bytes = utf8Bytes(text);
  const body = bytes + BODY_OVERHEAD_BYTES;
  const parts =
    body + CONTENT_OVERHEAD_BYTES <= LEAST_ROOM_BYTES
      ? 1
      : Math.ceil(body / (LEAST_ROOM_BYTES - PART_OVERHEAD_BYTES));
  return { bytes, parts, fits: bytes <= MAX_TEXT_BYTES };
}

function isLow(unit: number): boolean {
  return unit >= 0xdc00 && unit < 0xe000;
}
