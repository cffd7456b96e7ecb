import { defineConfig } from "vitest/config";

/** Tests in a real browser: one after the other, on one network of nodes. */
export default defineConfig({
  test: {
    include: ["browser/**/*.test.ts"],
    maxWorkers: 1,
    fileParallelism: false,
    // The network and the browser are started once for all files.
    isolate: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
