/** The files of a build, as a node serves them. */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { gzipSync } from "node:zlib";

/** The list of hashes; it cannot hold its own. */
export const MANIFEST = "files.json";
/** What is compressed for the way; the rest (pictures, fonts) is compressed as it is. */
const COMPRESSIBLE = /\.(css|html|js|json|svg|txt|webmanifest)$/;

/** Paths below `directory` with forward slashes, sorted by code unit, without compressed copies. */
export function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".gz"))
    .map((entry) => relative(directory, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort((a, b) => (a < b ? -1 : 1));
}

/** Path to SHA-256 in hex, for everything but the manifest. */
export function hashesOf(directory: string): Record<string, string> {
  const paths = filesBelow(directory).filter((path) => path !== MANIFEST);
  return Object.fromEntries(
    paths.map((path) => [path, sha256(readFileSync(join(directory, path)))]),
  );
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** As small as gzip gets; zlib writes no time and no name into it, so it is always the same. */
export function compressed(bytes: Uint8Array): Uint8Array {
  return gzipSync(bytes, { level: 9 });
}

/** Writes FILE.gz beside every file that gets smaller by it. */
export function writeCompressed(directory: string): void {
  for (const path of filesBelow(directory).filter((name) => COMPRESSIBLE.test(name))) {
    const bytes = readFileSync(join(directory, path));
    const small = compressed(bytes);
    if (small.length < bytes.length) {
      writeFileSync(join(directory, `${path}.gz`), small);
    }
  }
}
