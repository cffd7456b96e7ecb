/**
 * New devices of people: whether their owner's list names them, before anything of them is shown.
 *
 * The certificate alone would let a device that was removed from the list go on for up to 30 days
 * (docs/protocol/e2ee.md, section 10). Which are to be looked up stands in the database, so that
 * every engine that starts takes them up; a look-up that fails is repeated for as long as it runs.
 */

import { retryAfter, SLOWEST_MS } from "../network/backoff";
import type { Clock } from "../network/clock";
import { NoNode } from "../network/errors";
import { takeEndsOf } from "../store/arrivals";
import type { Change, Reader } from "../store/change";
import type { Database } from "../store/database";
import { amendPerson, devicesOf, isUnchecked } from "../store/people";
import type { DeviceId } from "../store/rows";
import type { Points } from "../wire/digest";
import { TaceError } from "../wire/errors";
import type { Identity } from "./contract";
import { listedDevices, NeverOnline } from "./directory";
import { applyChange, summariseChanged } from "./history";
import { News } from "./news";

export interface NewDevicesParts {
  database: Database;
  points: Points;
  clock: Clock;
  chance: () => number;
  /** Ask a node for somebody's records. @throws TaceError */
  lookUp: (identity: Identity) => Promise<void>;
  publish: (news: News) => void;
  /** What that device said may be shown. */
  checked: (identity: Identity, device: DeviceId) => Promise<void>;
  /** It failed for a reason that trying again does not mend. */
  failed: (error: unknown) => void;
}

interface NewDevice {
  identity: Identity;
  device: DeviceId;
}

export class NewDevices {
  private cancelTimer: () => void = () => {};
  private running: Promise<void> | null = null;
  private isWanted = false;
  private isStopped = false;
  private failures = 0;

  constructor(private readonly parts: NewDevicesParts) {}

  /** Look them up now: there are new ones, or what failed before says nothing any more. */
  soon(): void {
    this.failures = 0;
    this.isWanted = true;
    this.within(0);
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    this.cancelTimer();
    await this.running;
  }

  private within(milliseconds: number): void {
    if (this.isStopped || this.running) return;
    this.cancelTimer();
    this.cancelTimer = this.parts.clock.after(milliseconds, () => {
      this.running = this.run().catch((error: unknown) => this.parts.failed(error));
    });
  }

  private async run(): Promise<void> {
    this.isWanted = false;
    let againMs: number | null = null;
    try {
      againMs = await this.check();
    } finally {
      this.running = null;
    }
    if (this.isWanted) this.within(0);
    else if (againMs !== null) this.within(againMs);
  }

  /**
   * Look each of them up; who cannot be looked up keeps nobody else from it.
   *
   * @returns when those that are left are to be tried again; null where none is.
   */
  private async check(): Promise<number | null> {
    const { database, points, clock, chance, lookUp, publish, checked } = this.parts;
    let pauseMs = 0;
    let isLeft = false;
    for (const { identity, device } of await toLookUp(database.reader)) {
      if (this.isStopped) return null;
      try {
        await lookUp(identity);
      } catch (error) {
        if (!(error instanceof TaceError)) throw error;
        if (!(error instanceof NeverOnline)) {
          isLeft = true;
          if (error instanceof NoNode) pauseMs = Math.max(pauseMs, error.pauseMs);
          continue;
        }
      }
      const news = await database.change((change) =>
        noteChecked(change, identity, device, points, clock.now()),
      );
      // It is said where it comes from before it is shown.
      publish(news);
      await checked(identity, device);
    }
    if (!isLeft) return null;
    this.failures += 1;
    return Math.max(Math.min(SLOWEST_MS, pauseMs), retryAfter(this.failures, chance));
  }
}

/** Who was not let in makes us ask nobody: that would show that we are here. */
async function toLookUp(reader: Reader): Promise<NewDevice[]> {
  return (await reader.all("person")).flatMap(({ identity, standing, unchecked }) =>
    standing === "contact" ? (unchecked ?? []).map(({ device }) => ({ identity, device })) : [],
  );
}

/** Their list was looked at, or they have none: what is known of the device now. */
async function noteChecked(
  change: Change,
  identity: Identity,
  device: DeviceId,
  points: Points,
  nowMs: number,
): Promise<News> {
  const news = new News();
  const person = await change.get("person", identity);
  // Forgotten while it was looked up.
  if (!person || !isUnchecked(person, device)) return news;
  const name = person.unchecked?.find((each) => each.device === device)?.name;
  const unchecked = (person.unchecked ?? []).filter((each) => each.device !== device);
  await amendPerson(change, identity, { unchecked, ...(name && { name }) });
  if (person.deviceList) {
    const isListed = (await listedDevices(person.deviceList, points)).includes(device);
    const others = (await devicesOf(change, identity)).filter((row) => row.device !== device);
    if (!isListed) await amendPerson(change, identity, { unlistedDevice: true });
    else if (others.length) await amendPerson(change, identity, { newDeviceSinceMs: nowMs });
  }
  for (const end of await takeEndsOf(change, identity, device)) {
    const { target, id, keptMs } = end;
    const targeting = { chat: identity, mine: false, target, id, change: end.change };
    await applyChange(change, news, { ...targeting, nowMs: keptMs });
  }
  news.chat(identity);
  await summariseChanged(change, news);
  return news;
}
