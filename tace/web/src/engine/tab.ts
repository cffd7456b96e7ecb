/**
 * One tab's share of the engine: it answers queries from the database, and passes commands on to
 * the tab that owns the engine, which may be itself.
 *
 * A Web Lock says which tab that is. It ends with its tab, however that ends; the next one that
 * waits for it takes over, announces itself, and is asked again what the last one left unanswered.
 * Commands are idempotent, so one that was carried out and not answered does no harm.
 */

import {
  type Between,
  type CallName,
  type CommandName,
  isQuery,
  NOT_OWNER,
  type Note,
  type Outcome,
  outcomeOf,
  type QueryName,
} from "./calls";
import type { EngineEvent, EngineState, Queries } from "./contract";
import { EngineError } from "./contract";

/** The engine where it is owned: see "./owner". */
export interface OwnedEngine {
  readonly state: EngineState;
  command(name: CommandName, args: unknown[]): Promise<unknown>;
  note(note: Note): void;
  close(): Promise<void>;
}

/** What the tabs share: a BroadcastChannel, or a fake. */
export interface Channel {
  post(message: Between): void;
  listen(listener: (message: Between) => void): void;
  close(): void;
}

/** The part of the browser's LockManager that is used. */
export interface Locks {
  /** Resolves when `held` has; `held` runs while the lock is held. */
  request(name: string, options: { signal: AbortSignal }, held: () => Promise<void>): Promise<void>;
}

export interface TabParts {
  /** Told apart from the other tabs by this. */
  tab: string;
  channel: Channel;
  locks: Locks;
  /** Loaded with the first question. */
  queries: () => Promise<Queries>;
  /** Makes this the tab that owns the engine. */
  own(tell: (event: EngineEvent) => void): Promise<{ engine: OwnedEngine; ownership: number }>;
  /** Told every event, of whichever tab. */
  tell(event: EngineEvent): void;
}

export const LOCK = "tace";
/** Commands whose outcome is large or old at once, and which change nothing. */
const TELLING: ReadonlySet<CommandName> = new Set(["exportAll", "inspectExport", "nodes", "ring"]);
/** How many outcomes are remembered for a tab that asks twice. */
const MAX_OUTCOMES = 512;
/** How many commands of this tab may wait for an owner. */
const MAX_WAITING = 4096;

interface Waiting {
  message: Between & { say: "command" };
  done(outcome: Outcome): void;
}

export class Tab {
  private engine: OwnedEngine | null = null;
  private ownership = 0;
  private knownOwner = 0;
  private nextId = 1;
  private readonly waiting = new Map<string, Waiting>();
  private readonly outcomes = new Map<string, Promise<Outcome>>();
  /** The latest of each kind from this tab's page: an engine that starts later needs them too. */
  private readonly notes = new Map<Note["note"], Note>();
  private readonly ending = new AbortController();
  private release: () => void = () => {};

  constructor(private readonly parts: TabParts) {
    parts.channel.listen((message) => this.heard(message));
  }

  /** Resolves when this tab waits its turn to own the engine (or does). */
  start(): void {
    this.parts.channel.post({ say: "who" });
    const held = () => this.holdLock();
    this.parts.locks.request(LOCK, { signal: this.ending.signal }, held).catch((error) => {
      if (!this.ending.signal.aborted) this.failed(error);
    });
  }

  async call(name: CallName, args: unknown[]): Promise<Outcome> {
    if (isQuery(name)) return await outcomeOf(() => this.query(name, args));
    if (this.engine) return await this.carryOut(`${this.parts.tab} ${this.nextId++}`, name, args);
    if (this.waiting.size >= MAX_WAITING) return { ok: false, code: "busy", detail: "" };
    const { tab } = this.parts;
    const id = `${tab} ${this.nextId++}`;
    return await new Promise((done) => {
      const message = { say: "command", tab, id, name, args } as const;
      this.waiting.set(id, { message, done });
      this.parts.channel.post(message);
    });
  }

  note(note: Note): void {
    this.notes.set(note.note, note);
    if (this.engine) this.engine.note(note);
    else this.parts.channel.post({ say: "note", note });
  }

  async close(): Promise<void> {
    this.ending.abort();
    const engine = this.engine;
    this.engine = null;
    await engine?.close();
    this.release();
    this.parts.channel.close();
  }

  private async holdLock(): Promise<void> {
    try {
      const { engine, ownership } = await this.parts.own((event) => this.told(event));
      if (this.ending.signal.aborted) {
        await engine.close();
        return;
      }
      this.engine = engine;
      this.ownership = ownership;
      for (const note of this.notes.values()) engine.note(note);
      this.parts.channel.post({ say: "owner", ownership });
      this.told({ event: "state", state: engine.state });
      for (const [id, { message, done }] of this.waiting) {
        this.waiting.delete(id);
        void this.carryOut(id, message.name, message.args).then(done);
      }
    } catch (error) {
      this.failed(error);
    }
    // The lock is this tab's until it ends.
    await new Promise<void>((release) => {
      this.release = release;
      if (this.ending.signal.aborted) release();
    });
  }

  private failed(error: unknown): void {
    const detail = error instanceof Error ? error.message : String(error);
    for (const [id, { done }] of this.waiting) {
      this.waiting.delete(id);
      done({ ok: false, code: "failed", detail });
    }
  }

  private async query(name: QueryName, args: unknown[]): Promise<unknown> {
    const queries = await this.parts.queries();
    const call = queries[name] as (...args: unknown[]) => Promise<unknown>;
    return await call.apply(queries, args);
  }

  /** Once for each id: who asks twice gets the same outcome. */
  private carryOut(id: string, name: CommandName, args: unknown[]): Promise<Outcome> {
    const known = this.outcomes.get(id);
    if (known) return known;
    const { engine } = this;
    const outcome = outcomeOf(async () => {
      if (!engine) throw new EngineError("closed");
      return await engine.command(name, args);
    });
    this.outcomes.set(id, outcome);
    // What only tells something may be asked anew, and an export is megabytes.
    if (TELLING.has(name)) void outcome.then(() => this.outcomes.delete(id));
    if (this.outcomes.size > MAX_OUTCOMES) {
      const [oldest] = this.outcomes.keys();
      if (oldest !== undefined) this.outcomes.delete(oldest);
    }
    return outcome;
  }

  /** What the engine tells, where this tab owns it. */
  private told(event: EngineEvent): void {
    this.parts.channel.post({ say: "event", event });
    this.parts.tell(event);
  }

  private heard(message: Between): void {
    switch (message.say) {
      case "who":
        if (!this.engine) return;
        this.parts.channel.post({ say: "owner", ownership: this.ownership });
        this.parts.channel.post({
          say: "event",
          event: { event: "state", state: this.engine.state },
        });
        return;
      case "owner":
        this.ownerIs(message.ownership);
        return;
      case "command":
        if (!this.engine) return;
        void this.carryOut(message.id, message.name, message.args).then((outcome) => {
          // Whoever owns it by now answers.
          if (!outcome.ok && outcome.code === NOT_OWNER) return;
          this.parts.channel.post({ say: "outcome", tab: message.tab, id: message.id, outcome });
        });
        return;
      case "outcome": {
        if (message.tab !== this.parts.tab) return;
        const waiting = this.waiting.get(message.id);
        this.waiting.delete(message.id);
        waiting?.done(message.outcome);
        return;
      }
      case "event":
        this.parts.tell(message.event);
        return;
      case "note":
        this.engine?.note(message.note);
    }
  }

  /** Another tab took over: it knows nothing of what the last one was asked. */
  private ownerIs(ownership: number): void {
    if (ownership <= this.knownOwner) return;
    this.knownOwner = ownership;
    for (const { message } of this.waiting.values()) this.parts.channel.post(message);
  }
}
