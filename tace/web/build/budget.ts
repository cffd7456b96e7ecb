/** How much script a first visit loads, and the most that it may. */

import { existsSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { parseAst } from "vite";
import { compressed, filesBelow } from "./files.ts";

/** Of all scripts of the first load together, compressed. */
export const BUDGET_BYTES = 60_000;

/** The engine's worker: src/engine/worker.ts, which every tab starts at once. */
const WORKER = /^assets\/worker-[^/]+\.js$/;
/** src/app/start.tsx, which the page loads when nobody has started yet. */
const START = /^assets\/start-[^/]+\.js$/;
/** src/app/catalogue/de, the one language that is loaded beside English: the heaviest first visit. */
const LANGUAGE = /^assets\/de-[^/]+\.js$/;
/** Scripts and what is declared as loaded ahead, in index.html. */
const SCRIPT_OF_PAGE = /<(?:script|link)\b[^>]*\b(?:src|href)="\/([^"]+\.js)"/g;

export interface Weight {
  path: string;
  /** Why it is loaded. */
  because: "page" | "worker" | "start screen" | "language" | "service worker";
  bytes: number;
  gzipBytes: number;
}

/**
 * The scripts of a first visit until a name can be typed: what index.html names, the engine's worker,
 * the start screen, a catalogue that is not English, and the service worker; each with all that it
 * imports statically. What the service worker fetches for later, once the page can be used, is apart.
 *
 * @throws Error: one of these is not there; a budget without it says nothing.
 */
export function firstLoad(dist: string): Weight[] {
  const page = readFileSync(join(dist, "index.html"), "utf8");
  const files = filesBelow(dist);
  const roots: [Weight["because"], string[]][] = [
    ["page", [...page.matchAll(SCRIPT_OF_PAGE)].map((match) => match[1] ?? "")],
    ["worker", files.filter((path) => WORKER.test(path))],
    ["start screen", files.filter((path) => START.test(path))],
    ["language", files.filter((path) => LANGUAGE.test(path))],
    ["service worker", existsSync(join(dist, "sw.js")) ? ["sw.js"] : []],
  ];
  const weights = new Map<string, Weight>();
  for (const [because, paths] of roots) {
    if (paths.length === 0) {
      throw new Error(`the build has no script for: ${because}`);
    }
    for (const path of withImports(dist, paths)) {
      const bytes = readFileSync(join(dist, path));
      weights.set(path, {
        path,
        because: weights.get(path)?.because ?? because,
        bytes: bytes.length,
        gzipBytes: compressed(bytes).length,
      });
    }
  }
  return [...weights.values()];
}

/** @throws Error: over the budget. */
export function checkBudget(weights: Weight[]): void {
  const total = totalOf(weights);
  if (total > BUDGET_BYTES) {
    throw new Error(
      `the first load has ${total} bytes of script (gzip), ${total - BUDGET_BYTES} over the budget`,
    );
  }
}

export function table(weights: Weight[]): string {
  const rows = weights.map(({ path, because, bytes, gzipBytes }) => [
    path,
    because,
    String(bytes),
    String(gzipBytes),
  ]);
  const total = String(totalOf(weights));
  const all = [
    ["first load", "", "bytes", "gzip"],
    ...rows,
    ["in all", "", "", total],
    ["at most", "", "", String(BUDGET_BYTES)],
  ];
  const widths = [0, 1, 2, 3].map((at) => Math.max(...all.map((row) => row[at]?.length ?? 0)));
  const line = (row: string[]): string =>
    row
      .map((cell, at) => (at < 2 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0)))
      .join("  ");
  return all.map((row) => `  ${line(row)}`).join("\n");
}

function totalOf(weights: Weight[]): number {
  return weights.reduce((sum, { gzipBytes }) => sum + gzipBytes, 0);
}

function withImports(dist: string, roots: string[]): Set<string> {
  const found = new Set<string>();
  const waiting = [...roots];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (!found.has(path)) {
      found.add(path);
      waiting.push(...staticImports(path, readFileSync(join(dist, path), "utf8")));
    }
  }
  return found;
}

function staticImports(path: string, code: string): string[] {
  const imported: string[] = [];
  for (const node of parseAst(code).body) {
    if (
      (node.type === "ImportDeclaration" ||
        node.type === "ExportNamedDeclaration" ||
        node.type === "ExportAllDeclaration") &&
      node.source
    ) {
      imported.push(posix.join(posix.dirname(path), node.source.value));
    }
  }
  return imported;
}
