import { readFileSync } from "node:fs";
import { fromHex, hex } from "../bytes";

/** One of the files that both sides of the protocol are tested with. */
export function vectorFile(name: string): unknown {
  const url = new URL(`../../../../../tests/vectors/${name}`, import.meta.url);
  return JSON.parse(readFileSync(url, "utf8"));
}

/** A value as vector files write it: byte strings as `{"bytes": hex}`. */
export type Written = string | number | boolean | { bytes: string } | Written[];

/** What a decoded message holds, as vector files write it. */
export function written(value: unknown): Written {
  if (value instanceof Uint8Array) return { bytes: hex(value) };
  if (Array.isArray(value)) return value.map(written);
  if (typeof value === "object" && value !== null) return Object.values(value).map(written);
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
    return value;
  }
  throw new TypeError(`no way to write ${typeof value}`);
}

/** The plain value behind a written one. */
export function unwritten(value: Written): unknown {
  if (Array.isArray(value)) return value.map(unwritten);
  return typeof value === "object" ? fromHex(value.bytes) : value;
}
