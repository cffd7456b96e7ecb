import { defineConfig } from "vitest/config";

/** Checks of the client as it is built, by itself: they take seconds and need the built files. */
export default defineConfig({
  test: { include: ["build/**/*.check.ts"], testTimeout: 120_000 },
});
