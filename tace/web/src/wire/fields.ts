/**
 * How the fields of messages are declared: what may stand there, checked in both directions.
 *
 * A field turns a value that MessagePack gave into the one that programs use, or says what is
 * wrong with it. What MessagePack calls `bin` and `str` are never taken for one another.
 */

import type { Bytes } from "./bytes";

/** What a field says of a value it does not take; turned into an error by who knows the message. */
export class NotAsDeclared extends Error {}

export interface Field<T> {
  /** @throws NotAsDeclared */
  read(value: unknown): T;
  /** What MessagePack is given for it. */
  write(value: T): unknown;
}

/** A field that may be missing, in a message of an older version. */
export interface DefaultField<T> extends Field<T> {
  readonly fallback: T;
}

// Methods are compared bivariantly, so that every field is one of these.
export type Shape = Readonly<Record<string, Field<unknown>>>;

/** What a message with these fields is once it is read. */
export type Values<S extends Shape> = {
  readonly [K in keyof S]: S[K] extends Field<infer T> ? T : never;
};

type WithDefault<S extends Shape> = {
  [K in keyof S]: S[K] extends DefaultField<unknown> ? K : never;
}[keyof S];

/** What has to be said to make one: fields with a default may be left out. */
export type Given<S extends Shape> = Omit<Values<S>, WithDefault<S>> &
  Partial<Pick<Values<S>, WithDefault<S>>>;

/** Byte strings of `least` to `most` bytes. */
export function bytes(least: number, most = least): Field<Bytes> {
  return {
    read(value) {
      if (!(value instanceof Uint8Array)) throw new NotAsDeclared("not a byte string");
      if (value.length < least || value.length > most) {
        throw new NotAsDeclared(`${value.length} bytes`);
      }
      // A copy: the decoder gives windows into the whole message, and whoever keeps one of 32 bytes
      // would keep all of it.
      return new Uint8Array(value);
    },
    write: (value) => value,
  };
}

/** UTF-8 of at most `most` characters (code points). */
export function text(most: number): Field<string> {
  return {
    read(value) {
      if (typeof value !== "string") throw new NotAsDeclared("not a text");
      if (value.length > 2 * most || (value.length > most && [...value].length > most)) {
        throw new NotAsDeclared(`a text of ${value.length} characters`);
      }
      if (!value.isWellFormed()) throw new NotAsDeclared("not Unicode");
      return value;
    },
    write: (value) => value,
  };
}

function unsigned(most: bigint): Field<number> {
  return {
    read(value) {
      // 64-bit formats come as bigint, so that the bound is checked before anything is rounded.
      const whole = typeof value === "number" && Number.isInteger(value) ? BigInt(value) : value;
      if (typeof whole !== "bigint") throw new NotAsDeclared("not a whole number");
      if (whole < 0n || whole > most) throw new NotAsDeclared("a number out of range");
      return Number(whole);
    },
    // The encoder writes larger numbers as floats; bigints it writes in 64 bits.
    write: (value) => (value > 0xffff_ffff ? BigInt(value) : value),
  };
}

export const u8 = unsigned(0xffn);
export const u16 = unsigned(0xffffn);
export const u32 = unsigned(0xffff_ffffn);
/** Exact up to 2^53, rounded to the nearest double above it: times and counts, for people. */
export const u63 = unsigned(0x7fff_ffff_ffff_ffffn);

export const bool: Field<boolean> = {
  read(value) {
    if (typeof value !== "boolean") throw new NotAsDeclared("not true or false");
    return value;
  },
  write: (value) => value,
};

/** An array of `least` to `most` such values. */
export function list<T>(item: Field<T>, most: number, least = 0): Field<readonly T[]> {
  return {
    read(value) {
      if (!Array.isArray(value)) throw new NotAsDeclared("not an array");
      if (value.length < least || value.length > most) {
        throw new NotAsDeclared(`${value.length} elements`);
      }
      return value.map((element) => item.read(element));
    },
    write: (value) => value.map((element) => item.write(element)),
  };
}

/** The same field, with what stands for it where it is missing. */
export function optional<T>(field: Field<T>, fallback: T): DefaultField<T> {
  return { read: (value) => field.read(value), write: (value) => field.write(value), fallback };
}

/** Several fields as one array in their order. Further elements are of a newer version. */
export function structure<S extends Shape>(shape: S): Field<Values<S>> {
  const fields = Object.entries(shape);
  return {
    read(value) {
      if (!Array.isArray(value)) throw new NotAsDeclared("not an array");
      const found: Record<string, unknown> = {};
      for (const [index, [name, field]] of fields.entries()) {
        found[name] = index < value.length ? read(name, field, value[index]) : missing(name, field);
      }
      // Each was read by the very field that gives its type.
      return found as Values<S>;
    },
    write(value) {
      return fields.map(([name, field]) => {
        const given = value[name];
        return field.write(given === undefined && "fallback" in field ? field.fallback : given);
      });
    },
  };
}

function read(name: string, field: Field<unknown>, value: unknown): unknown {
  try {
    return field.read(value);
  } catch (error) {
    if (error instanceof NotAsDeclared) throw new NotAsDeclared(`${name}: ${error.message}`);
    throw error;
  }
}

function missing(name: string, field: Field<unknown>): unknown {
  if ("fallback" in field) return field.fallback;
  throw new NotAsDeclared(`${name} is missing`);
}

export const bytes16 = bytes(16);
export const bytes32 = bytes(32);
export const publicKey = bytes(33);
export const signature = bytes(64);
/** A word that programs branch on. */
export const word = text(32);
/** One line for a person. */
export const line = text(200);
