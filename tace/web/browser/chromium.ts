/** The browser that tests drive: the machine's own Chromium. */

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import {
  type Browser,
  type BrowserContextOptions,
  chromium,
  type LaunchOptions,
} from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/**
 * What Chromium does of its own accord: asking Google about form fields, the time, what to load
 * ahead; turning http into https. Playwright has such a list too, and the last one counts, so this
 * one holds what matters of that.
 */
const OWN_ACCORD = [
  "AimEnabled",
  "AutofillServerCommunication",
  "DestroyProfileOnBrowserClose",
  "HttpsFirstBalancedModeAutoEnable",
  "HttpsUpgrades",
  "MediaRouter",
  "NetworkTimeServiceQuerying",
  "OptimizationHints",
  "PaintHolding",
  "PreconnectToSearch",
];

/** What every context has unless a test says otherwise. */
export const CONTEXT: BrowserContextOptions = {
  locale: "en-GB",
  timezoneId: "UTC",
  viewport: { width: 1280, height: 800 },
  reducedMotion: "reduce",
};

/** @throws Error: there is none. */
export function launch(): Promise<Browser> {
  return chromium.launch(launchOptions());
}

export function launchOptions(): LaunchOptions {
  return {
    executablePath: executable(),
    headless: true,
    // Chromium's sandbox does not work for root, as whom tests run in containers.
    chromiumSandbox: process.getuid?.() !== 0,
    args: [`--disable-features=${OWN_ACCORD.join(",")}`],
  };
}

function executable(): string {
  const given = process.env.TACE_CHROMIUM;
  const folders = (process.env.PATH ?? "").split(delimiter).concat("/usr/bin");
  const candidates = given
    ? [given]
    : NAMES.flatMap((name) => folders.map((folder) => join(folder, name)));
  const found = candidates.find(isExecutable);
  if (!found) {
    throw new Error(`no Chromium: install the package "chromium", or set TACE_CHROMIUM`);
  }
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
