import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { release, versionOf } from "./build/release.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const version = versionOf(here("../__init__.py"));
const target = "es2023";

export default defineConfig({
  define: { "import.meta.env.TACE_VERSION": JSON.stringify(version) },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    target,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: false,
  },
  worker: {
    format: "es",
    // build/budget.ts knows the engine's worker by its name.
    rolldownOptions: { output: { entryFileNames: "assets/[name]-[hash].js" } },
  },
  plugins: [
    release({
      version,
      serviceWorker: here("src/sw/sw.ts"),
      target,
      print: (text) => console.log(text),
    }),
  ],
  // Machines that run tests are shared: what takes long there is not wrong.
  test: { include: ["{src,build}/**/*.test.{ts,tsx}"], testTimeout: 30_000 },
});
