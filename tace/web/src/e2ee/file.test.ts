/** What is sealed for the nodes to keep, or for a person to keep: chunks of files, export files. */

import { describe, expect, test } from "vitest";
import { type Bytes, concat, fromHex, hex, utf8 } from "../wire/bytes";
import { sha256 } from "../wire/digest";
import { Malformed } from "../wire/errors";
import { type Body, decodeBody, encodeBody, Kind } from "./content";
import { aeadSeal, hkdf, type RandomBytes } from "./crypto";
import { BadExport, exportBase, openExport, sealExport, WrongExportCode } from "./export";
import { CHUNK_BYTES, chunkHash, chunksOf, openChunk, PIECE_BYTES, sealChunk } from "./file";
import { E2eeLabel } from "./labels";
import { parseRecoveryCode } from "./recovery";
import { changed, load, rejection } from "./testing/vectors";

describe("chunks", () => {
  const given = load<{
    key: string;
    size: number;
    file_hash: string;
    count: number;
    chunks: readonly { index: number; hash: string; end: string }[];
    empty: string;
  }>("e2ee/file.json");
  const key = fromHex(given.key);

  test("the vectors' file is sealed to these chunks, and opens", async () => {
    const file = Uint8Array.from({ length: given.size }, (_, at) => at % 251);
    expect(hex(await sha256(file))).toBe(given.file_hash);
    expect(chunksOf(given.size)).toBe(given.count);
    const pieces: Bytes[] = [];
    for (const { index, hash, end } of given.chunks) {
      const piece = file.slice(index * PIECE_BYTES, (index + 1) * PIECE_BYTES);
      const chunk = await sealChunk(key, index, given.count, piece);
      expect(chunk).toHaveLength(CHUNK_BYTES);
      expect(hex(await chunkHash(chunk))).toBe(hash);
      expect(hex(chunk.slice(-32))).toBe(end);
      pieces.push(await openChunk(key, index, given.count, chunk));
    }
    expect(concat(...pieces).slice(0, given.size)).toEqual(file);
    const empty = await sealChunk(key, 0, 1, new Uint8Array());
    expect(hex(await chunkHash(empty))).toBe(given.empty);
  });

  test("a chunk is of one place, one count and one key", async () => {
    const chunk = await sealChunk(key, 1, 3, utf8("piece"));
    expect((await openChunk(key, 1, 3, chunk)).slice(0, 5)).toEqual(utf8("piece"));
    const wrong: Parameters<typeof openChunk>[] = [
      [key, 0, 3, chunk],
      [key, 1, 2, chunk],
      [changed(key, 0), 1, 3, chunk],
      [key, 1, 3, changed(chunk, 5)],
      [key, 1, 3, chunk.slice(1)],
      [key, 1, 3, new Uint8Array()],
    ];
    for (const each of wrong) {
      expect(await rejection(openChunk(...each))).toBeInstanceOf(Malformed);
    }
    const long = await rejection(sealChunk(key, 0, 1, new Uint8Array(PIECE_BYTES + 1)));
    expect(long).toBeInstanceOf(RangeError);
  });

  test("in how many a file goes", () => {
    const sizes = [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 1024 * PIECE_BYTES];
    expect(sizes.map(chunksOf)).toEqual([1, 1, 1, 2, 1024]);
  });
});

describe("export files", () => {
  const given = load<{
    code: string;
    another_code: string;
    base: string;
    salt: string;
    nonce: string;
    plaintext: string;
    file: string;
    not_an_export: Readonly<Record<string, string>>;
    does_not_open: Readonly<Record<string, string>>;
  }>("e2ee/export.json");
  const base = async (code: string) => await exportBase(await parseRecoveryCode(code));
  const random: RandomBytes = (count) => crypto.getRandomValues(new Uint8Array(count));

  test("the vectors' file opens with its code", async () => {
    const file = fromHex(given.file);
    expect(hex(await openExport(await base(given.code), file))).toBe(given.plaintext);
    expect(hex(file.slice(14, 42))).toBe(given.salt + given.nonce);
    const other = await rejection(openExport(await base(given.another_code), file));
    expect(other).toBeInstanceOf(WrongExportCode);
  });

  test.each(Object.entries(given.not_an_export))("no export file: %s", async (_, file) => {
    const opening = openExport(await base(given.code), fromHex(file));
    expect(await rejection(opening)).toBeInstanceOf(BadExport);
  });

  test.each(Object.entries(given.does_not_open))("does not open: %s", async (_, file) => {
    const opening = openExport(await base(given.code), fromHex(file));
    expect(await rejection(opening)).toBeInstanceOf(WrongExportCode);
  });

  test("what is sealed opens, the base is that of the code and cannot be read out", async () => {
    const key = await base(given.code);
    expect([key.extractable, key.usages]).toEqual([false, ["deriveKey"]]);
    const content = utf8("said ".repeat(10_000));
    const file = await sealExport(key, content, random);
    expect(file.length).toBeLessThan(1000);
    expect(await openExport(key, file)).toEqual(content);
    for (let at = 14; at < file.length; at += 11) {
      const error = await rejection(openExport(key, changed(file, at)));
      expect(error).toBeInstanceOf(WrongExportCode);
    }
    expect(await sealExport(key, content, random)).not.toEqual(file);
  });

  test("a file that unpacks to more than it may is given up", async () => {
    const key = await base(given.code);
    const file = await sealExport(key, new Uint8Array(1_000_000), random);
    expect(file.length).toBeLessThan(2000);
    expect(await openExport(key, file, 1_000_000)).toHaveLength(1_000_000);
    const error = await rejection(openExport(key, file, 999_999));
    expect(error).toEqual(new BadExport("what is in the file is too large"));
  });

  test("what is sealed rightly and does not unpack is said to be so", async () => {
    const head = concat(utf8("tace export 1\n"), random(28));
    const info = utf8(E2eeLabel.EXPORT_FILE);
    const key = await hkdf(fromHex(given.base), { salt: head.slice(14, 30), info, length: 32 });
    const sealed = await aeadSeal(key, head.slice(30), utf8("no gzip"), head);
    const error = await rejection(openExport(await base(given.code), concat(head, sealed)));
    expect(error).toBeInstanceOf(BadExport);
  });
});

test("a file of as many chunks as there may be is read", () => {
  const hashes = Array.from({ length: 1024 }, () => new Uint8Array(32));
  const body: Body = {
    kind: Kind.FILE,
    name: "long.bin",
    type: "",
    bytes: 1024 * PIECE_BYTES,
    key: new Uint8Array(32),
    expiresHours: 1,
    hashes,
  };
  expect(decodeBody(Kind.FILE, encodeBody(body))).toEqual(body);
});
