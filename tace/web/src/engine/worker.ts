/** The engine's worker: one in each tab, put together from what the browser has. */

import { systemClock } from "../network/clock";
import { Database, NewerDatabase } from "../store/database";
import type { Between, ToPage, ToWorker } from "./calls";
import type { EngineEvent } from "./contract";
import type { Environment } from "./environment";
import { INITIAL_STATE } from "./initial-state";
import { Owner } from "./owner";
import type { DatabaseQueries } from "./queries";
import { type Channel, Tab } from "./tab";

declare const self: DedicatedWorkerGlobalScope;

const NAME = "tace";

function environment(): Environment {
  const chance = Math.random;
  return {
    clock: systemClock,
    random: (count) => crypto.getRandomValues(new Uint8Array(count)),
    chance,
    connecting: async () => (await import("./connecting")).browserConnecting(chance),
    here: self.location.origin,
    storage: navigator.storage ?? null,
  };
}

function channel(): Channel {
  const broadcast = new BroadcastChannel(NAME);
  return {
    post: (message) => broadcast.postMessage(message),
    listen: (listener) => {
      broadcast.addEventListener("message", (event) => listener(event.data as Between));
    },
    close: () => broadcast.close(),
  };
}

function tell(message: ToPage): void {
  self.postMessage(message);
}

function blocked(why: "newer-database" | "no-database" | "failed"): void {
  const state = { ...INITIAL_STATE, phase: { at: "blocked", why } } as const;
  tell({ to: "event", event: { event: "state", state } });
}

async function start(): Promise<Tab> {
  const database = await Database.open(NAME, (why) => {
    blocked(why === "newer" ? "newer-database" : "failed");
  });
  let queries: DatabaseQueries | null = null;
  const tab = new Tab({
    tab: crypto.randomUUID(),
    channel: channel(),
    locks: {
      request: async (name, options, held) => {
        await navigator.locks.request(name, options, held);
      },
    },
    queries: async () => {
      const { DatabaseQueries } = await import("./queries");
      queries ??= new DatabaseQueries(database.reader);
      return queries;
    },
    own: async (told) => {
      const ownership = await database.own();
      return { engine: await Owner.start(environment(), database, told), ownership };
    },
    tell: (event: EngineEvent) => {
      queries?.heard(event);
      tell({ to: "event", event });
    },
  });
  tab.start();
  return tab;
}

// What the page asks while the database opens waits for it.
const starting = start();
starting.catch((error: unknown) => {
  blocked(error instanceof NewerDatabase ? "newer-database" : "no-database");
});

self.addEventListener("message", (event: MessageEvent<ToWorker>) => {
  const message = event.data;
  void starting.then(
    async (tab) => {
      if (message.to === "note") {
        tab.note(message.note);
        return;
      }
      const outcome = await tab.call(message.name, message.args);
      tell({ to: "answer", id: message.id, outcome });
    },
    () => {
      if (message.to === "note") return;
      const outcome = { ok: false, code: "blocked", detail: "" } as const;
      tell({ to: "answer", id: message.id, outcome });
    },
  );
});
