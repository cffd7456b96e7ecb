/** Fixed byte layouts: written and read from left to right, big-endian. */

import { type Bytes, concat } from "./bytes";

export function u8Bytes(value: number): Bytes {
  return Uint8Array.of(value);
}

export function u16Bytes(value: number): Bytes {
  const bytes = new Uint8Array(2);
  new DataView(bytes.buffer).setUint16(0, value);
  return bytes;
}

export function u32Bytes(value: number): Bytes {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

export function u64Bytes(value: number | bigint): Bytes {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

/** Reads a layout. Whoever uses it has checked the length before. */
export class LayoutReader {
  #at = 0;
  readonly #view: DataView;

  constructor(readonly data: Uint8Array) {
    this.#view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2));
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8));
  }

  bytes(length: number): Bytes {
    const at = this.#take(length);
    return concat(this.data.subarray(at, at + length));
  }

  #take(length: number): number {
    const at = this.#at;
    if (at + length > this.data.length) throw new RangeError("read beyond the end");
    this.#at += length;
    return at;
  }
}
