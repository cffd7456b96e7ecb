/** The page over the made-up engine, served as a build: every state of every screen, without nodes. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BrowserContext, Page } from "playwright-core";
import { build, preview } from "vite";
import type { LanguageId } from "../src/app/languages.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

export interface SampleSite {
  url: string;
  close(): Promise<void>;
}

/** @throws Error: it does not build. */
export async function sampleSite(): Promise<SampleSite> {
  const outDir = await mkdtemp(join(tmpdir(), "tace-sample-site-"));
  await build({
    root: ROOT,
    configFile: false,
    logLevel: "error",
    define: {
      "import.meta.env.DEV": "true",
      "import.meta.env.PROD": "false",
      "import.meta.env.TACE_VERSION": '"1.2.3"',
    },
    oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    build: { outDir, emptyOutDir: false, target: "es2023", minify: false, assetsInlineLimit: 0 },
    worker: { format: "es" },
  });
  const server = await preview({
    root: ROOT,
    configFile: false,
    logLevel: "error",
    build: { outDir },
    preview: { host: "127.0.0.1" },
  });
  return {
    url: server.resolvedUrls?.local[0] ?? "",
    close: async () => {
      await server.close();
      await rm(outDir, { recursive: true });
    },
  };
}

/** A page in that language, with `rootFontSize` as a reader may have set it (CSS; "100%"). */
export async function samplePage(
  context: BrowserContext,
  language: LanguageId = "en",
  rootFontSize = "100%",
): Promise<Page> {
  const page = await context.newPage();
  await page.addInitScript(
    ({ id, size }) => {
      // An empty page has no storage.
      if (location.protocol === "about:") return;
      localStorage.setItem("tace.language", id);
      const enlarge = (): void => document.documentElement.style.setProperty("font-size", size);
      addEventListener("DOMContentLoaded", enlarge);
    },
    { id: language, size: rootFontSize },
  );
  return page;
}
