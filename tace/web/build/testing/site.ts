/** A small site of the same kind as tace's page, built as a release. For tests. */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";
import { release } from "../release.ts";

const SERVICE_WORKER = fileURLToPath(new URL("../../src/sw/sw.ts", import.meta.url));

/** An entry, a start screen, a language, something that is loaded later, a worker with something of its own. */
const SITE = {
  "index.html": '<!doctype html><title>x</title><script type="module" src="/main.ts"></script>',
  "main.ts": `
    import url from "./worker?worker&url";
    import { shared } from "./shared";
    import "./look.css";
    document.title = shared;
    void import("./start");
    if (navigator.language === "de") void import("./de");
    new Worker(url, { type: "module" });
    addEventListener("click", async () => (await import("./later")).go());`,
  "start.ts": 'document.body.append("start");',
  "de.ts": 'document.body.lang = "de";',
  "later.ts": `
    import { shared } from "./shared";
    export const go = () => { document.title = shared + ", later"; };`,
  "shared.ts": 'export const shared = "shared";',
  "worker.ts": 'onmessage = async () => (await import("./rare")).rare();',
  "rare.ts": 'export const rare = () => postMessage("rare");',
  "look.css": "body { margin: 0 }",
  "public/icon.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
};

/** Writes the site into `root`, with these files more or different, and builds it; its dist. */
export async function builtSite(root: string, more: Record<string, string> = {}): Promise<string> {
  for (const [path, text] of Object.entries({ ...SITE, ...more })) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  await build({
    root,
    configFile: false,
    logLevel: "silent",
    build: { target: "es2023", modulePreload: { polyfill: false } },
    worker: {
      format: "es",
      rolldownOptions: { output: { entryFileNames: "assets/[name]-[hash].js" } },
    },
    plugins: [
      release({
        version: "1.2.3",
        serviceWorker: SERVICE_WORKER,
        target: "es2023",
        print: () => {},
      }),
    ],
  });
  return join(root, "dist");
}
