/** A network of real nodes on this machine, as `tace network` starts it. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const START_MS = 90_000;
/** The command itself kills after 12 s what does not end. */
const STOP_MS = 20_000;
/** Of what the command prints; for the message of an error. */
const OUTPUT_KEPT = 4_000;

export interface LocalNode {
  /** What clients dial, and where the page is: "http://127.0.0.1:40123". */
  url: string;
  pid: number;
  dataDir: string;
}

export interface NetworkOptions {
  nodes: number;
  /** Settings of all nodes by "section.key". */
  settings?: Record<string, string>;
  environment?: Record<string, string>;
}

export class LocalNetwork {
  private constructor(
    private readonly command: ChildProcess,
    private readonly directory: string,
    readonly nodes: readonly LocalNode[],
  ) {}

  /**
   * Returns when all nodes form one ring.
   *
   * @throws Error: it ended or did not get there in time, with what it printed.
   */
  static async start({ nodes, settings, environment }: NetworkOptions): Promise<LocalNetwork> {
    const directory = await mkdtemp(join(tmpdir(), "tace-network-"));
    const options = { "limits.requests_stamp_bits": "8", ...settings };
    const command = spawn(
      python(),
      [
        ...["-m", "tace.cli.main", "network", `--nodes=${nodes}`, `--base-dir=${directory}`],
        "--first-port=0",
        ...Object.entries(options).map(([key, value]) => `--set=${key}=${value}`),
      ],
      {
        cwd: ROOT,
        env: { ...process.env, PYTHONPATH: ROOT, PYTHONUNBUFFERED: "1", ...environment },
        stdio: ["ignore", "pipe", "pipe"],
      },
    );
    try {
      await says(command, /form one ring\.|node is ready\./);
      const description = JSON.parse(await readFile(join(directory, "network.json"), "utf8"));
      const started = description.nodes.map(
        (node: { url: string; pid: number; data_dir: string }) => ({
          url: node.url,
          pid: node.pid,
          dataDir: node.data_dir,
        }),
      );
      return new LocalNetwork(command, directory, started);
    } catch (error) {
      await ended(command);
      throw error;
    }
  }

  node(index: number): LocalNode {
    const node = this.nodes[index];
    if (!node) {
      throw new RangeError(`there is no node ${index}`);
    }
    return node;
  }

  /** Kills one node at once, as a power cut would; it is not started again. */
  kill(index: number): void {
    process.kill(this.node(index).pid, "SIGKILL");
  }

  async stop(): Promise<void> {
    await ended(this.command);
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** The Python that has what nodes need: of the test run, else of the checkout's .venv. */
export function python(): string {
  const venv = join(ROOT, ".venv", "bin", "python");
  return process.env.TACE_PYTHON ?? (existsSync(venv) ? venv : "python3");
}

function says(command: ChildProcess, words: RegExp): Promise<void> {
  return new Promise((resolve, reject) => {
    let printed = "";
    const fail = (why: string): void => {
      clearTimeout(limit);
      reject(new Error(`tace network ${why}:\n${printed}`));
    };
    const limit = setTimeout(() => fail(`did not say ${words} in time`), START_MS);
    const read = (data: Buffer): void => {
      printed = (printed + data.toString()).slice(-OUTPUT_KEPT);
      if (words.test(printed)) {
        clearTimeout(limit);
        resolve();
      }
    };
    // Goes on to read after that: a full pipe would stop the command.
    command.stdout?.on("data", read);
    command.stderr?.on("data", read);
    command.once("error", (error) => fail(`could not be started (${error.message})`));
    command.once("exit", (status) => fail(`ended with ${status}`));
  });
}

/** Asks the command to stop its nodes, and sees to it that it is gone. */
async function ended(command: ChildProcess): Promise<void> {
  if (command.pid === undefined || command.exitCode !== null || command.signalCode !== null) {
    return;
  }
  const gone = once(command, "exit");
  command.kill("SIGTERM");
  const limit = setTimeout(() => command.kill("SIGKILL"), STOP_MS);
  await gone;
  clearTimeout(limit);
}
