/** The page's side of the engine: calls cross to a worker, events come back. */

import {
  CALL_NAMES,
  type CallName,
  type Note,
  type Outcome,
  resultOf,
  type ToPage,
  type ToWorker,
} from "./calls";
import type { BlockedReason, Calls, Engine, EngineEvent, EngineState } from "./contract";
import { EngineError } from "./contract";
import { INITIAL_STATE } from "./initial-state";
import { trustedScriptUrl } from "./trusted";
import workerUrl from "./worker?worker&url";

/** What carries messages to the engine and back: a Worker, or a fake. */
export interface EnginePort {
  post(message: ToWorker): void;
  listen(listener: (message: ToPage) => void): void;
}

/** Starts the engine of this tab. In a browser that cannot run it, it says so in its phase. */
export function openEngine(): Engine {
  const blocked = whyBlocked();
  if (blocked)
    return engineOver(null, { ...INITIAL_STATE, phase: { at: "blocked", why: blocked } });
  const worker = new Worker(trustedScriptUrl(workerUrl), { type: "module", name: "tace" });
  const remote = new Remote({
    post: (message) => worker.postMessage(message),
    listen: (listener) => {
      worker.addEventListener("message", (event) => listener(event.data as ToPage));
    },
  });
  worker.addEventListener("error", () => remote.broke());
  addEventListener("online", () => remote.note({ note: "online", online: true }));
  addEventListener("offline", () => remote.note({ note: "online", online: false }));
  remote.note({ note: "online", online: navigator.onLine });
  return remote.engine(() => askPersistence(remote));
}

/** The engine behind a port; `null`: none, every call fails. For tests, and for blocked browsers. */
export function engineOver(port: EnginePort | null, state: EngineState = INITIAL_STATE): Engine {
  return new Remote(port, state).engine();
}

class Remote {
  private readonly listeners = new Set<(event: EngineEvent) => void>();
  private readonly waiting = new Map<number, (outcome: Outcome) => void>();
  private nextId = 1;
  private port: EnginePort | null;

  constructor(
    port: EnginePort | null,
    private state: EngineState = INITIAL_STATE,
  ) {
    this.port = port;
    port?.listen((message) => this.heard(message));
  }

  /** @param askPersistence asked of the page itself: workers may not. */
  engine(askPersistence?: () => Promise<boolean>): Engine {
    const calls = Object.fromEntries(
      CALL_NAMES.map((name) => [name, (...args: unknown[]) => this.call(name, args)]),
    ) as unknown as Calls;
    if (askPersistence) calls.askPersistence = askPersistence;
    const current = () => this.state;
    return {
      ...calls,
      get state() {
        return current();
      },
      subscribe: (listener) => {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
      },
    };
  }

  note(note: Note): void {
    this.port?.post({ to: "note", note });
  }

  /** The worker is gone: a script that does not load, or an error nobody caught at its start. */
  broke(): void {
    if (this.state.phase.at !== "loading") return;
    this.port = null;
    this.emit({
      event: "state",
      state: { ...this.state, phase: { at: "blocked", why: "failed" } },
    });
    for (const [id, done] of this.waiting) {
      this.waiting.delete(id);
      done({ ok: false, code: "failed", detail: "" });
    }
  }

  private async call(name: CallName, args: unknown[]): Promise<unknown> {
    const { port } = this;
    if (!port) throw new EngineError("blocked");
    const id = this.nextId++;
    const outcome = await new Promise<Outcome>((done) => {
      this.waiting.set(id, done);
      port.post({ to: "call", id, name, args });
    });
    return resultOf(outcome);
  }

  private heard(message: ToPage): void {
    if (message.to === "event") {
      this.emit(message.event);
      return;
    }
    const done = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    done?.(message.outcome);
  }

  private emit(event: EngineEvent): void {
    if (event.event === "state") this.state = event.state;
    for (const listener of [...this.listeners]) listener(event);
  }
}

async function askPersistence(remote: Remote): Promise<boolean> {
  const persistent = (await navigator.storage?.persist?.()) ?? false;
  remote.note({ note: "persistent", persistent });
  return persistent;
}

function whyBlocked(): BlockedReason | null {
  if (!globalThis.isSecureContext || !globalThis.crypto?.subtle) return "insecure";
  const wanted = ["Worker", "BroadcastChannel", "structuredClone", "CompressionStream"];
  if (!navigator.locks || !wanted.every((name) => name in globalThis)) return "too-old";
  return globalThis.indexedDB ? null : "no-database";
}
