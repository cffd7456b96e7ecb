/** The engine as components see it: calls, and state that redraws what reads it. */

import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext, useEffect } from "preact/hooks";
import type { Chat, Engine, EngineEvent, EngineState, Identity } from "../engine/contract";

/** More changed chats than this in one event: the whole list is asked for, once. */
const MOST_SINGLE_CHATS = 16;

export class LiveEngine {
  private readonly currentState;
  private readonly byIdentity = signal<ReadonlyMap<Identity, Chat> | null>(null);
  /**
   * Answers can overtake each other, so questions are numbered: an answer counts where no later
   * question about that chat, or about all chats, was asked.
   */
  private asked = 0;
  private listAsked = 0;
  /** The latest question about each chat since the latest about all. */
  private readonly chatAsked = new Map<Identity, number>();

  /** All chats of every standing, most recently active first; null until they are loaded. */
  readonly chats: ReadonlySignal<readonly Chat[] | null> = computed(() => {
    const map = this.byIdentity.value;
    return map && [...map.values()].sort(byActivity);
  });

  constructor(readonly calls: Engine) {
    this.currentState = signal(calls.state);
    calls.subscribe((event) => this.heard(event));
    if (calls.state.phase.at === "ready") this.loadChats();
  }

  get state(): ReadonlySignal<EngineState> {
    return this.currentState;
  }

  /** undefined: not known (yet). */
  chat(identity: Identity): Chat | undefined {
    return this.byIdentity.value?.get(identity);
  }

  private heard(event: EngineEvent): void {
    if (event.event === "state") {
      const wasReady = this.currentState.value.phase.at === "ready";
      this.currentState.value = event.state;
      if (!wasReady && event.state.phase.at === "ready") this.loadChats();
    } else if (event.event === "chats") {
      if (event.identities.length > MOST_SINGLE_CHATS || this.byIdentity.value === null) {
        this.loadChats();
      } else {
        for (const identity of event.identities) this.loadChat(identity);
      }
    }
  }

  private loadChats(): void {
    this.asked += 1;
    const mine = this.asked;
    this.listAsked = mine;
    this.chatAsked.clear();
    this.calls.chats().then(
      (chats) => {
        if (this.listAsked !== mine) return;
        const next = new Map(chats.map((chat) => [chat.identity, chat]));
        for (const identity of this.chatAsked.keys()) this.keep(next, identity);
        this.byIdentity.value = next;
      },
      // Only a broken database refuses; the engine tells that in its phase.
      () => undefined,
    );
  }

  /** Asked about since the list was: what is known of it by then is newer, or about to be. */
  private keep(next: Map<Identity, Chat>, identity: Identity): void {
    const chat = this.byIdentity.value?.get(identity);
    if (chat) next.set(identity, chat);
    else if (this.byIdentity.value) next.delete(identity);
  }

  private loadChat(identity: Identity): void {
    this.asked += 1;
    const mine = this.asked;
    this.chatAsked.set(identity, mine);
    this.calls.chat(identity).then(
      (chat) => {
        // A later question about all chats has cleared the map: its answer has this chat, too.
        if (this.chatAsked.get(identity) !== mine) return;
        const next = new Map(this.byIdentity.value);
        if (chat) next.set(identity, chat);
        else next.delete(identity);
        this.byIdentity.value = next;
      },
      () => undefined,
    );
  }
}

function byActivity(one: Chat, other: Chat): number {
  return other.activeMs - one.activeMs || (one.identity < other.identity ? -1 : 1);
}

const EngineContext = createContext<LiveEngine | null>(null);
export const EngineProvider = EngineContext.Provider;

/** @throws Error outside the application. */
export function useEngine(): LiveEngine {
  const engine = useContext(EngineContext);
  if (!engine) throw new Error("no EngineProvider");
  return engine;
}

/** Hears every event of the engine while the component is there. */
export function useEngineEvents(listener: (event: EngineEvent) => void): void {
  const engine = useEngine();
  useEffect(() => engine.calls.subscribe(listener), [engine, listener]);
}
