import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BUDGET_BYTES, checkBudget, firstLoad } from "./budget.ts";
import { filesBelow, hashesOf, sha256 } from "./files.ts";
import { versionOf } from "./release.ts";
import { builtSite } from "./testing/site.ts";

let roots: string[];

function directory(): string {
  const root = mkdtempSync(join(tmpdir(), "tace-release-"));
  roots.push(root);
  return root;
}

const built = (more: Record<string, string> = {}): Promise<string> => builtSite(directory(), more);

const text = (dist: string, path: string): string => readFileSync(join(dist, path), "utf8");

beforeEach(() => {
  roots = [];
});

afterEach(() => {
  for (const root of roots) {
    rmSync(root, { recursive: true });
  }
});

describe("a release", () => {
  it("lists every file with its hash, but not the list itself and not the compressed copies", async () => {
    const dist = await built();
    const manifest = JSON.parse(text(dist, "files.json"));
    expect(manifest.version).toBe("1.2.3");
    const paths = Object.keys(manifest.files);
    expect(paths).toEqual(filesBelow(dist).filter((path) => path !== "files.json"));
    expect(paths).toEqual(expect.arrayContaining(["icon.svg", "index.html", "sw.js"]));
    expect(paths.filter((path) => path.startsWith("assets/")).length).toBeGreaterThanOrEqual(5);
    for (const path of paths) {
      expect(manifest.files[path]).toBe(sha256(readFileSync(join(dist, path))));
    }
  });

  it("tells its service worker of every file but that one", async () => {
    const dist = await built();
    const {
      "sw.js": own,
      "files.json": none,
      ...others
    } = JSON.parse(text(dist, "files.json")).files;
    expect(own).toBeDefined();
    expect(none).toBeUndefined();
    const code = text(dist, "sw.js");
    for (const [path, hash] of Object.entries(others)) {
      expect(code).toContain(path);
      expect(code).toContain(hash);
    }
    expect(code).not.toContain("TACE_RELEASE");
  });

  it("has a service worker that loads nothing", async () => {
    const code = text(await built(), "sw.js");
    expect(code).not.toMatch(/\bimport\b|importScripts/);
  });

  it("has compressed copies of the same bytes", async () => {
    const dist = await built({ "public/words.txt": "word ".repeat(100) });
    for (const path of ["words.txt", "sw.js", "files.json"]) {
      const bytes = gunzipSync(readFileSync(join(dist, `${path}.gz`)));
      expect(bytes.equals(readFileSync(join(dist, path)))).toBe(true);
    }
  });

  it("is the same bytes wherever it is built", async () => {
    const [here, there] = [await built(), await built()];
    expect(hashesOf(here)).toEqual(hashesOf(there));
    for (const path of ["files.json", "files.json.gz", "index.html", "sw.js.gz"]) {
      expect(readFileSync(join(here, path)).equals(readFileSync(join(there, path)))).toBe(true);
    }
  });

  it("changes its service worker with any file, so that browsers see a new release", async () => {
    const before = text(await built(), "sw.js");
    const after = text(await built({ "public/icon.svg": "<svg/>" }), "sw.js");
    expect(after).not.toBe(before);
  });
});

describe("the budget", () => {
  it("counts the page, its worker and the service worker, and not what is loaded later", async () => {
    const dist = await built();
    const all = filesBelow(dist).join("\n");
    expect(all).toContain("assets/later-");
    expect(all).toContain("assets/rare-");
    const weights = firstLoad(dist);
    const names = weights.map(({ path }) => path.replace(/-[\w-]{8}\.js$/, ""));
    expect(names).toEqual(
      expect.arrayContaining([
        "assets/index",
        "assets/worker",
        "assets/start",
        "assets/de",
        "sw.js",
      ]),
    );
    expect(names).not.toContain("assets/later");
    expect(names).not.toContain("assets/rare");
    for (const { bytes, gzipBytes } of weights) {
      expect(bytes).toBeGreaterThan(0);
      expect(gzipBytes).toBeGreaterThan(0);
    }
  });

  it("counts what is imported statically, once", async () => {
    const dist = await built();
    const entry = /src="\/(assets\/[^"]+)"/.exec(text(dist, "index.html"))?.[1] ?? "";
    writeFileSync(join(dist, "assets/deep.js"), 'export const deep = "deep";');
    writeFileSync(join(dist, "assets/more.js"), 'export { deep } from "./deep.js";');
    const code = text(dist, entry);
    writeFileSync(join(dist, entry), `import "./more.js"; import "./deep.js"; ${code}`);
    const paths = firstLoad(dist).map(({ path }) => path);
    expect(paths.filter((path) => path === "assets/more.js")).toHaveLength(1);
    expect(paths.filter((path) => path === "assets/deep.js")).toHaveLength(1);
  });

  it("stops a build that is too heavy", async () => {
    // Digits of a hash chain do not compress.
    const heavy = Array.from({ length: BUDGET_BYTES / 16 }, (_, n) => sha256(`${n}`)).join("");
    const building = built({ "shared.ts": `export const shared = ${JSON.stringify(heavy)};` });
    await expect(building).rejects.toThrow("over the budget");
  });

  it("allows the budget itself, and not a byte more", () => {
    const weigh = (gzipBytes: number) => [
      { path: "a.js", because: "page" as const, bytes: gzipBytes, gzipBytes },
    ];
    expect(() => checkBudget(weigh(BUDGET_BYTES))).not.toThrow();
    expect(() => checkBudget(weigh(BUDGET_BYTES + 1))).toThrow("1 over the budget");
  });

  it.each([
    ["worker", "worker"],
    ["start", "start screen"],
    ["de", "language"],
  ])("is not met by a build without %s", async (chunk, named) => {
    const dist = await built();
    for (const path of filesBelow(dist).filter((name) => name.startsWith(`assets/${chunk}-`))) {
      rmSync(join(dist, path));
    }
    expect(() => firstLoad(dist)).toThrow(`no script for: ${named}`);
  });
});

describe("the version", () => {
  it("is that of the Python package", () => {
    const root = directory();
    writeFileSync(join(root, "a.py"), '"""x"""\n\n__version__ = "0.9.1"\n');
    writeFileSync(join(root, "b.py"), "");
    expect(versionOf(join(root, "a.py"))).toBe("0.9.1");
    expect(() => versionOf(join(root, "b.py"))).toThrow("no __version__");
  });
});
