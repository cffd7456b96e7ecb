/**
 * The sealed export file: "tace export 1\n" ‖ salt 16 ‖ nonce 12 ‖ AES-256-GCM of the gzipped
 * content, under a key that follows from the recovery code (docs/protocol/e2ee.md, section 14).
 *
 * Between the code and the key of a file stands the *base*: a key that can do nothing but make keys
 * of export files. It stays in the browser when the code is forgotten, and cannot be read out.
 */

import { type Bytes, concat, equal, utf8 } from "../wire/bytes";
import { TaceError } from "../wire/errors";
import { hkdf, KEY_BYTES, NONCE_BYTES, type RandomBytes } from "./crypto";
import { E2eeLabel } from "./labels";
import type { RecoveryCode } from "./recovery";

const HEAD = utf8("tace export 1\n");
const SALT_BYTES = 16;
const START = HEAD.length + SALT_BYTES + NONCE_BYTES;
/** A file that unpacks to more is not unpacked. */
export const MAX_EXPORT_BYTES = 256 * 1024 * 1024;

/** Not an export file, or made by a later version, or damaged. */
export class BadExport extends TaceError {
  constructor(message: string) {
    super("bad-export", message);
  }
}

/** It is an export file, and this code does not open it. */
export class WrongExportCode extends TaceError {
  constructor() {
    super("bad-recovery-code", "this code does not open the file, or the file is damaged");
  }
}

export async function exportBase(code: RecoveryCode): Promise<CryptoKey> {
  const info = utf8(E2eeLabel.EXPORT_KEY);
  const bytes = await hkdf(code.secret, { salt: new Uint8Array(), info, length: KEY_BYTES });
  return await crypto.subtle.importKey("raw", bytes, "HKDF", false, ["deriveKey"]);
}

/** @param content what is to be in it, at most 256 MiB. */
export async function sealExport(
  base: CryptoKey,
  content: Bytes,
  random: RandomBytes,
): Promise<Bytes> {
  if (content.length > MAX_EXPORT_BYTES) throw new RangeError("too much for one export file");
  const salt = random(SALT_BYTES);
  const nonce = random(NONCE_BYTES);
  const head = concat(HEAD, salt, nonce);
  const packed = await through(content, new CompressionStream("gzip"), Number.POSITIVE_INFINITY);
  const key = await fileKey(base, salt, "encrypt");
  const parameters = { name: "AES-GCM", iv: nonce, additionalData: head };
  return concat(head, new Uint8Array(await crypto.subtle.encrypt(parameters, key, packed)));
}

/**
 * What is in the file.
 *
 * @param most how many bytes may come out: a few kilobytes can stand for any amount.
 * @throws BadExport, WrongExportCode
 */
export async function openExport(
  base: CryptoKey,
  file: Bytes,
  most = MAX_EXPORT_BYTES,
): Promise<Bytes> {
  if (!equal(file.subarray(0, HEAD.length), HEAD) || file.length < START) {
    throw new BadExport("this is not an export file of tace");
  }
  const head = file.slice(0, START);
  const key = await fileKey(base, head.slice(HEAD.length, HEAD.length + SALT_BYTES), "decrypt");
  const iv = head.slice(HEAD.length + SALT_BYTES);
  const parameters = { name: "AES-GCM", iv, additionalData: head };
  let packed: Bytes;
  try {
    packed = new Uint8Array(await crypto.subtle.decrypt(parameters, key, file.slice(START)));
  } catch (error) {
    if (error instanceof DOMException) throw new WrongExportCode();
    throw error;
  }
  try {
    return await through(packed, new DecompressionStream("gzip"), most);
  } catch (error) {
    if (error instanceof BadExport) throw error;
    throw new BadExport("what is in the file cannot be unpacked");
  }
}

async function fileKey(
  base: CryptoKey,
  salt: Bytes,
  usage: "encrypt" | "decrypt",
): Promise<CryptoKey> {
  const info = utf8(E2eeLabel.EXPORT_FILE);
  const parameters = { name: "HKDF", hash: "SHA-256", salt, info };
  const algorithm = { name: "AES-GCM", length: 8 * KEY_BYTES };
  return await crypto.subtle.deriveKey(parameters, base, algorithm, false, [usage]);
}

/** @throws BadExport more than `most` bytes come out. */
async function through(
  data: Bytes,
  stream: CompressionStream | DecompressionStream,
  most: number,
): Promise<Bytes> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = new Blob([data]).stream().pipeThrough(stream).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return concat(...chunks);
    length += value.length;
    if (length > most) {
      await reader.cancel();
      throw new BadExport("what is in the file is too large");
    }
    chunks.push(value);
  }
}
