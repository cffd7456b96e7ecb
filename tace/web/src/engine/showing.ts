/**
 * Showing what was received: each message once, in the order it was said.
 *
 * What a device says is counted. What comes before its turn is held back until the gap closes, for
 * two seconds, or until nothing more lies in the mailbox (docs/protocol/e2ee.md, section 9). A
 * message that was saved and not shown is found again after a restart. Nothing is shown of a device
 * whose owner's list is to be looked at first (./new-devices).
 */

import { HoldBack } from "../e2ee/order";
import type { Clock } from "../network/clock";
import type { Change } from "../store/change";
import type { Database } from "../store/database";
import { placeFor } from "../store/messages";
import { isUnchecked } from "../store/people";
import type { DeviceId, MessageRow } from "../store/rows";
import { Turns } from "../store/turns";
import type { Identity, MessageId } from "./contract";
import { summariseChanged } from "./history";
import { News } from "./news";

/** A counter that shows nothing: a part, a reaction, a kind that changes another message. */
export interface Placed {
  chat: Identity;
  device: DeviceId;
  counter: number;
}

/** What takes a place: a message, or nothing that is shown. */
interface InOrder extends Placed {
  id: MessageId | null;
}

export class Showing {
  private held = new Map<string, HoldBack<InOrder>>();
  private ready: InOrder[] = [];
  private isCatchingUp = true;
  private cancelTimer: (() => void) | null = null;
  private readonly turns = new Turns();
  private stopped = false;

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    private readonly publish: (news: News) => void,
  ) {}

  /** Take up what was saved and not shown: at the start, and where showing failed. */
  async look(): Promise<void> {
    this.held = new Map();
    this.ready = [];
    const unshown = await this.database.reader.all("message", { index: "unshown" });
    await this.arrived(unshown, []);
  }

  /** What a batch brought; resolves when all of it that may be shown is. */
  async arrived(messages: readonly MessageRow[], placed: readonly Placed[]): Promise<void> {
    const now = this.clock.now() / 1000;
    const arrived: InOrder[] = [
      ...placed.map((each) => ({ ...each, id: null })),
      ...messages.map(({ chat, device, counter, id }) => ({ chat, device, counter, id })),
    ];
    for (const each of arrived) {
      const holdBack = await this.holdBack(each.chat, each.device);
      this.ready.push(...holdBack.offer(each.counter, each, now));
    }
    await this.flush();
  }

  /** That device was looked up: what it said meanwhile may be shown. */
  async checked(chat: Identity, device: DeviceId): Promise<void> {
    const unshown = await this.database.reader.all("message", { index: "unshown" });
    const theirs = unshown.filter((row) => row.chat === chat && row.device === device);
    // Their turns may have gone by: then they are shown as they are given here.
    await this.arrived(
      theirs.sort((a, b) => a.counter - b.counter),
      [],
    );
  }

  /** What waits at the nodes is being fetched: gaps may still close. */
  catchingUp(): void {
    this.isCatchingUp = true;
  }

  /** Nothing else waits there: whatever is held may go. */
  async caughtUp(): Promise<void> {
    this.isCatchingUp = false;
    for (const holdBack of this.held.values()) this.ready.push(...holdBack.caughtUp());
    await this.flush();
  }

  /** Nothing can be fetched for now: what is held waits its two seconds. */
  async interrupted(): Promise<void> {
    this.isCatchingUp = false;
    await this.flush();
  }

  /** What is known of these people is gone. */
  forget(chat: Identity): void {
    for (const key of [...this.held.keys()]) {
      if (key.startsWith(`${chat} `)) this.held.delete(key);
    }
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.cancelTimer?.();
    this.cancelTimer = null;
    await this.turns.run(async () => {});
  }

  private async holdBack(chat: Identity, device: DeviceId): Promise<HoldBack<InOrder>> {
    const key = `${chat} ${device}`;
    const known = this.held.get(key);
    if (known) return known;
    const row = await this.database.reader.get("device", [chat, device]);
    const made = this.held.get(key) ?? new HoldBack<InOrder>(row?.nextShown ?? null);
    this.held.set(key, made);
    return made;
  }

  /** Show what is ready, and see when there is more. One at a time. */
  private flush(): Promise<void> {
    return this.turns.run(() => this.flushNow());
  }

  private async flushNow(): Promise<void> {
    if (this.stopped) return;
    if (!this.isCatchingUp) {
      const now = this.clock.now() / 1000;
      for (const holdBack of this.held.values()) this.ready.push(...holdBack.due(now));
    }
    const ready = this.ready;
    this.ready = [];
    if (ready.length) {
      const news = new News();
      await this.database.change((change) => show(change, news, ready));
      this.publish(news);
    }
    this.setTimer();
  }

  private setTimer(): void {
    this.cancelTimer?.();
    this.cancelTimer = null;
    if (this.isCatchingUp || this.stopped) return;
    const deadlines = [...this.held.values()].map((holdBack) => holdBack.deadline());
    const due = deadlines.filter((deadline) => deadline !== null);
    if (!due.length) return;
    const wait = Math.max(0, Math.min(...due) * 1000 - this.clock.now());
    this.cancelTimer = this.clock.after(wait, () => {
      // What fails here is found again by the next look.
      this.flush().catch(() => undefined);
    });
  }
}

/** Give them their places; what their devices say next is expected from there on. */
async function show(change: Change, news: News, ready: readonly InOrder[]): Promise<void> {
  for (const { chat, device, counter, id } of ready) {
    const message = id === null ? undefined : await change.get("message", id);
    const person = await change.get("person", chat);
    // It stays saved, and is taken up again when its device was looked up.
    if (message && isUnchecked(person, device)) continue;
    const row = await change.get("device", [chat, device]);
    if (row) {
      change.put("device", { ...row, nextShown: Math.max(row.nextShown ?? 0, counter + 1) });
    }
    if (message?.unshown === undefined || !person) continue;
    const place = await placeFor(change, person, message.device, message.counter);
    const { unshown: _, ...shown } = message;
    const unread = message.kind === "deleted" ? {} : { unread: 1 as const };
    change.put("message", { ...shown, ...unread, place });
    change.put("person", { ...person, lastPlace: Math.max(person.lastPlace, place) });
    news.message(message.chat, message.id);
    news.arrived(message.chat, person.standing === "request", message.id);
  }
  await summariseChanged(change, news);
}
