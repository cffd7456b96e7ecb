/**
 * Vite plugin: makes of a bundle a release.
 *
 * The order matters. First all files of the page are on the disk and hashed; then the service worker
 * is built with that list in it; then files.json lists all of it, the service worker as well.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build, type Plugin } from "vite";
import type { Release } from "../src/sw/release.ts";
import { checkBudget, firstLoad, table } from "./budget.ts";
import { hashesOf, MANIFEST, sha256, writeCompressed } from "./files.ts";

const SERVICE_WORKER = "sw.js";

export interface ReleaseOptions {
  /** Of the package: `__version__` in tace/__init__.py. */
  version: string;
  /** Source of the service worker. */
  serviceWorker: string;
  target: string;
  /** Where the table of sizes goes. */
  print(text: string): void;
}

export function release(options: ReleaseOptions): Plugin {
  let dist = "";
  return {
    name: "tace:release",
    apply: "build",
    configResolved(config) {
      dist = resolve(config.root, config.build.outDir);
    },
    async writeBundle() {
      const files = hashesOf(dist);
      const id = sha256(JSON.stringify(files));
      await buildServiceWorker(options, dist, { version: options.version, id, files });
      const manifest = { version: options.version, files: hashesOf(dist) };
      writeFileSync(join(dist, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
      writeCompressed(dist);
      const weights = firstLoad(dist);
      options.print(table(weights));
      checkBudget(weights);
    },
  };
}

/**
 * A bundle of its own, without a single import: a service worker that shared a chunk with the page
 * could not start once that chunk is gone from the node.
 */
async function buildServiceWorker(
  options: ReleaseOptions,
  dist: string,
  contents: Release,
): Promise<void> {
  await build({
    configFile: false,
    publicDir: false,
    logLevel: "warn",
    define: { TACE_RELEASE: JSON.stringify(contents) },
    build: {
      outDir: dist,
      emptyOutDir: false,
      target: options.target,
      reportCompressedSize: false,
      rolldownOptions: {
        input: options.serviceWorker,
        output: { format: "iife", entryFileNames: SERVICE_WORKER, codeSplitting: false },
      },
    },
  });
}

/** @throws Error: the file does not say. */
export function versionOf(pythonPackage: string): string {
  const match = /^__version__ = "([^"]+)"$/m.exec(readFileSync(pythonPackage, "utf8"));
  if (!match?.[1]) {
    throw new Error(`no __version__ in ${pythonPackage}`);
  }
  return match[1];
}
