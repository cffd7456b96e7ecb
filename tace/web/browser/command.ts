/** The `tace` command, for talk between a browser and a terminal. */

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { python } from "./network.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const LIMIT_MS = 60_000;

/**
 * Runs `tace ...` to its end; what it printed.
 *
 * @throws Error: another exit status than 0, or not done in time; what it said is in the message.
 */
export async function tace(...words: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(python(), ["-m", "tace.cli.main", ...words], {
    cwd: ROOT,
    env: { ...process.env, PYTHONPATH: ROOT },
    timeout: LIMIT_MS,
  });
  return stdout;
}
