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
    // Its own calls home have nothing to do with the page.
    args: ["--disable-background-networking", "--disable-component-update"],
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
