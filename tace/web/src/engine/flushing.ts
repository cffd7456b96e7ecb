/** When the outbox is flushed: at once when something is put in, then when something is due. */

import { retryAfter, SLOWEST_MS } from "../network/backoff";
import type { Clock } from "../network/clock";
import { NoNode } from "../network/errors";
import type { Database } from "../store/database";
import { nextDueMs, unaddressed, waitingForUpload } from "../store/outbox";
import { TaceError } from "../wire/errors";

/** Somebody who does not confirm is looked up again; own records come due. */
const LOOK_EVERY_MS = 30_000;
/** For what could not be encrypted yet, or no node has taken. */
const UNADDRESSED_MS = 5_000;

export interface FlushingParts {
  database: Database;
  clock: Clock;
  chance: () => number;
  flush: () => Promise<void>;
  /** It failed for a reason that trying again does not mend. */
  failed: (error: unknown) => void;
}

export class Flushing {
  private timer: { dueMs: number; cancel: () => void } | null = null;
  private running: Promise<void> | null = null;
  private isWanted = false;
  private isStopped = false;
  private failures = 0;
  /** How long the only node there is wants to be left alone. */
  private pauseMs = 0;

  constructor(private readonly parts: FlushingParts) {}

  /** Flush now, or again when the one under way is done. */
  readonly soon = (): void => {
    this.within(0);
  };

  /** The network is back: what failed before says nothing now. */
  retryNow(): void {
    this.failures = 0;
    this.within(0);
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    this.timer?.cancel();
    this.timer = null;
    await this.running;
  }

  private within(milliseconds: number): void {
    if (this.isStopped) return;
    if (this.running) {
      this.isWanted ||= milliseconds === 0;
      return;
    }
    const { clock } = this.parts;
    const dueMs = clock.now() + milliseconds;
    if (this.timer && this.timer.dueMs <= dueMs) return;
    this.timer?.cancel();
    const cancel = clock.after(milliseconds, () => {
      this.timer = null;
      this.running = this.run().catch((error: unknown) => this.parts.failed(error));
    });
    this.timer = { dueMs, cancel };
  }

  private async run(): Promise<void> {
    this.isWanted = false;
    try {
      await this.parts.flush();
      this.failures = 0;
    } catch (error) {
      this.failures += 1;
      this.pauseMs = error instanceof NoNode ? Math.min(SLOWEST_MS, error.pauseMs) : 0;
      if (!(error instanceof TaceError) || error.code === "replaced-identity") {
        this.parts.failed(error);
      }
    }
    const wait = await this.untilDue().catch(() => LOOK_EVERY_MS);
    this.running = null;
    this.within(this.isWanted && !this.failures ? 0 : wait);
  }

  private async untilDue(): Promise<number> {
    const { database, clock, chance } = this.parts;
    if (this.failures) return Math.max(this.pauseMs, retryAfter(this.failures, chance));
    const due = await nextDueMs(database.reader);
    const files = await waitingForUpload(database.reader);
    const left = files.length + (await unaddressed(database.reader)).length;
    const wait = due === null ? LOOK_EVERY_MS : Math.max(0, due - clock.now());
    return Math.min(LOOK_EVERY_MS, left ? UNADDRESSED_MS : LOOK_EVERY_MS, wait);
  }
}
