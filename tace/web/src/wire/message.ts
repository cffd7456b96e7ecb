/**
 * How a message is declared and turned into bytes and back.
 *
 * The body is one MessagePack array: the fields in order. Decoding ignores further elements, fills
 * in defaults for missing ones, and answers everything else with a ProtocolError.
 * Numbers are only ever appended, fields only at the end and with a default.
 */

import { Decoder, Encoder } from "@msgpack/msgpack";
import type { Bytes } from "./bytes";
import { ProtocolError, UnknownMessage } from "./errors";
import {
  type Field,
  type Given,
  NotAsDeclared,
  type Shape,
  structure,
  type Values,
} from "./fields";
import { checkFormats } from "./formats";

export interface MessageKind<S extends Shape> {
  readonly name: string;
  /** Its type on the wire. */
  readonly number: number;
  readonly fields: Field<Values<S>>;
}

/** A message that is answered. */
export interface RequestKind<S extends Shape, A extends Shape> extends MessageKind<S> {
  /** What a good answer looks like. */
  readonly answer: MessageKind<A>;
}

/** What a message of that kind holds. */
export type MessageOf<K> = K extends MessageKind<infer S> ? Values<S> : never;

export function message<S extends Shape>(name: string, number: number, shape: S): MessageKind<S> {
  return { name, number, fields: structure(shape) };
}

export function request<S extends Shape, A extends Shape>(
  name: string,
  number: number,
  shape: S,
  answer: MessageKind<A>,
): RequestKind<S, A> {
  return { ...message(name, number, shape), answer };
}

/** A message that arrived. */
export interface Arrived {
  readonly kind: MessageKind<Shape>;
  readonly values: unknown;
}

/** The values of a message that arrived, when it is of that kind. */
export function valuesOf<S extends Shape>(
  arrived: Arrived,
  kind: MessageKind<S>,
): Values<S> | null {
  // Read by this very kind's fields.
  return arrived.kind.number === kind.number ? (arrived.values as Values<S>) : null;
}

/** The messages of one protocol, by number. */
export class MessageTable {
  readonly #kinds = new Map<number, MessageKind<Shape>>();

  constructor(kinds: readonly MessageKind<Shape>[]) {
    for (const kind of kinds) {
      if (this.#kinds.has(kind.number)) throw new Error(`number ${kind.number} is taken twice`);
      this.#kinds.set(kind.number, kind);
    }
  }

  [Symbol.iterator](): Iterator<MessageKind<Shape>> {
    return this.#kinds.values();
  }

  /**
   * @throws UnknownMessage a number this version does not know.
   * @throws ProtocolError the body is not what that number declares.
   */
  decode(number: number, body: Uint8Array): Arrived {
    const kind = this.#kinds.get(number);
    if (!kind) throw new UnknownMessage(`no message has number ${number}`);
    return { kind, values: decodeBody(kind.name, kind.fields, body) };
  }
}

// An array's header may claim four billion elements in five bytes, and the decoder makes room for
// them at once, at every depth: these bounds are what a hostile message may cost.
const MAX_ELEMENTS = 1024;
const MAX_PAIRS = 64;
const MAX_BYTES = 128 * 1024;

/** For values that stand in a body of their own (a message, or the signed part of a record). */
export function decodeBody<T>(name: string, field: Field<T>, body: Uint8Array): T {
  const decoder = new Decoder({
    useBigInt64: true,
    maxArrayLength: MAX_ELEMENTS,
    maxMapLength: MAX_PAIRS,
    maxStrLength: MAX_BYTES,
    maxBinLength: MAX_BYTES,
    maxExtLength: MAX_BYTES,
  });
  let value: unknown;
  try {
    value = decoder.decode(body);
  } catch (error) {
    // The decoder's text names formats and lengths, never values.
    throw new ProtocolError(`${name}: ${reasonOf(error)}`);
  }
  try {
    checkFormats(body);
    return field.read(value);
  } catch (error) {
    if (error instanceof NotAsDeclared) throw new ProtocolError(`${name}: ${error.message}`);
    throw error;
  }
}

/** @throws TypeError the values are not as declared: this program's fault. */
export function encodeBody<S extends Shape>(kind: MessageKind<S>, values: Given<S>): Bytes {
  // Fields that are left out are those that have a default.
  const wire = kind.fields.write(values as Values<S>);
  try {
    kind.fields.read(wire);
  } catch (error) {
    if (error instanceof NotAsDeclared) throw new TypeError(`${kind.name}: ${error.message}`);
    throw error;
  }
  return new Encoder({ useBigInt64: true }).encode(wire);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 120) : "not MessagePack";
}
