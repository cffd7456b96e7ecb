/** The state that every page always has; told when something in it is different. */

import type { Clock } from "../network/clock";
import type { Database } from "../store/database";
import type { EngineEvent, EngineState } from "./contract";
import { INITIAL_STATE } from "./initial-state";
import type { News } from "./news";
import { isShown } from "./views";

/** Counts are made anew at most so often, however much changes. */
const COUNT_AFTER_MS = 50;

export class Status {
  state: EngineState = INITIAL_STATE;
  private cancelCount: (() => void) | null = null;

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
    private readonly tell: (event: EngineEvent) => void,
  ) {}

  become(change: Partial<EngineState>): void {
    const next = { ...this.state, ...change };
    // Small, and of plain values: its text tells whether anything is different.
    if (JSON.stringify(next) === JSON.stringify(this.state)) return;
    this.state = next;
    // A tab that takes over reads the database first: until then pages go by what they know, and
    // keep what they show.
    if (next.phase.at !== "loading") this.tell({ event: "state", state: next });
  }

  /** Tell what a change brought; the counts follow. */
  readonly publish = (news: News): void => {
    const events = news.events();
    for (const event of events) this.tell(event);
    if (events.length) this.countSoon();
  };

  stop(): void {
    this.cancelCount?.();
    this.cancelCount = null;
  }

  async count(): Promise<void> {
    const { reader } = this.database;
    let unread = 0;
    let requests = 0;
    for (const person of await reader.all("person")) {
      if (person.standing === "contact" && !person.muted) unread += person.unread;
      if (person.standing === "request" && isShown(person)) requests += 1;
    }
    const waiting = (await reader.keys("message", { index: "waiting" })).length;
    this.become({ unread, requests, waiting });
  }

  private countSoon(): void {
    this.cancelCount ??= this.clock.after(COUNT_AFTER_MS, () => {
      this.cancelCount = null;
      // Where the database is gone there is nothing to count.
      this.count().catch(() => undefined);
    });
  }
}
