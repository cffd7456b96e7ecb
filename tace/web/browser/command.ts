/** The `tace` command, for talk between a browser and a terminal. */

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
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

/** A `tace ...` that stays, and prints a line of JSON for each thing that comes. */
export class Following {
  private readonly command;
  private readonly lines;

  constructor(...words: string[]) {
    this.command = spawn(python(), ["-m", "tace.cli.main", ...words], {
      cwd: ROOT,
      env: { ...process.env, PYTHONPATH: ROOT, PYTHONUNBUFFERED: "1" },
      stdio: ["ignore", "pipe", "inherit"],
      timeout: LIMIT_MS,
    });
    this.lines = createInterface({ input: this.command.stdout })[Symbol.asyncIterator]();
  }

  /** @throws Error: it ended instead. */
  async next(): Promise<Record<string, unknown>> {
    const { done, value } = await this.lines.next();
    if (done) throw new Error("the command ended");
    return JSON.parse(value);
  }

  /** As Ctrl-C does. @returns its exit status. */
  async stop(): Promise<number | null> {
    if (this.command.exitCode === null && this.command.signalCode === null) {
      const gone = once(this.command, "exit");
      this.command.kill("SIGINT");
      await gone;
    }
    return this.command.exitCode;
  }
}
