import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkBudget, firstLoad, table } from "./budget.ts";
import { filesBelow, sha256 } from "./files.ts";

const WEB = fileURLToPath(new URL("..", import.meta.url));
const DIST = join(WEB, "dist");
const SOURCES = ["build", "public", "src", "index.html", "package.json", "vite.config.ts"];

/** Builds a copy of the sources there; what is installed is shared. */
function builtIn(root: string): string {
  const web = join(root, "tace", "web");
  mkdirSync(web, { recursive: true });
  cpSync(join(WEB, "..", "__init__.py"), join(root, "tace", "__init__.py"));
  for (const name of SOURCES) {
    cpSync(join(WEB, name), join(web, name), { recursive: true });
  }
  symlinkSync(join(WEB, "node_modules"), join(web, "node_modules"));
  const vite = join(WEB, "node_modules", "vite", "bin", "vite.js");
  execFileSync(process.execPath, [vite, "build", "--logLevel", "error"], {
    cwd: web,
    // As package.json has it: under a test runner's own NODE_ENV it would be another build.
    env: { ...process.env, NODE_ENV: "production" },
  });
  return join(web, "dist");
}

/** Every byte that is served, compressed copies as well. */
function bytesOf(dist: string): Record<string, string> {
  const paths = filesBelow(dist).flatMap((path) => [path, `${path}.gz`]);
  return Object.fromEntries(paths.map((path) => [path, hashIfThere(join(dist, path))]));
}

function hashIfThere(path: string): string {
  try {
    return sha256(readFileSync(path));
  } catch {
    return "none";
  }
}

describe("the web client as it is built", () => {
  let scratch: string;
  let elsewhere: string;

  beforeAll(() => {
    scratch = mkdtempSync(join(tmpdir(), "tace-build-"));
    elsewhere = builtIn(join(scratch, "a", "deeper", "place"));
  }, 120_000);

  afterAll(() => {
    rmSync(scratch, { recursive: true, force: true });
  });

  it("is the same bytes when it is built in another directory", () => {
    const another = builtIn(join(scratch, "b"));
    expect(filesBelow(another)).toContain("index.html");
    expect(bytesOf(another)).toEqual(bytesOf(elsewhere));
  });

  it("lies in dist as these sources give it", () => {
    expect(bytesOf(DIST)).toEqual(bytesOf(elsewhere));
  });

  it("has no path of the machine in it", () => {
    for (const path of filesBelow(elsewhere)) {
      const text = readFileSync(join(elsewhere, path), "latin1");
      expect(text.includes(dirname(WEB)) || text.includes(scratch), path).toBe(false);
    }
  });

  it("keeps the first load within its budget", () => {
    const weights = firstLoad(DIST);
    console.log(table(weights));
    expect(() => checkBudget(weights)).not.toThrow();
  });
});
