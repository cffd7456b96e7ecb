/** The part of a chat that is on the screen: pages of it, kept as the engine's events say. */

import { type ReadonlySignal, signal } from "@preact/signals";
import type { Calls, EngineEvent, Identity, Message, MessageId } from "../engine/contract";

export const PAGE_MESSAGES = 100;
/** What is further away is let go of and loaded again: the page's size has a bound. */
export const MAX_LOADED = 600;
/** More changed messages than this: the whole part is read again, once. */
const MOST_SINGLE = 8;

export interface WindowState {
  messages: readonly Message[];
  hasEarlier: boolean;
  hasLater: boolean;
}

export class MessageWindow {
  private readonly current = signal<WindowState | null>(null);
  private readonly broken = signal(false);
  /** One question at a time, in order, so that answers never overtake each other. */
  private last: Promise<void> = Promise.resolve();
  private readonly changedIds = new Set<MessageId>();
  private refreshQueued = false;

  constructor(
    private readonly calls: Pick<Calls, "messages">,
    private readonly chat: Identity,
  ) {}

  /** null until the first page is there. */
  get state(): ReadonlySignal<WindowState | null> {
    return this.current;
  }

  /** The last question failed; asking again mends it. */
  get failed(): ReadonlySignal<boolean> {
    return this.broken;
  }

  /** The page round a message, or the latest. */
  open(around: MessageId | null): Promise<void> {
    return this.inTurn(async () => {
      let page = await this.calls.messages(
        this.chat,
        around === null ? { limit: PAGE_MESSAGES } : { limit: PAGE_MESSAGES, around },
      );
      // What one wanted to see is gone: the latest is better than nothing.
      if (around !== null && page.messages.length === 0) {
        page = await this.calls.messages(this.chat, { limit: PAGE_MESSAGES });
      }
      this.current.value = page;
    });
  }

  earlier(): Promise<void> {
    return this.inTurn(async () => {
      const now = this.current.value;
      const first = now?.messages[0];
      if (!now?.hasEarlier || !first) return;
      const page = await this.calls.messages(this.chat, {
        limit: PAGE_MESSAGES,
        before: first.place,
      });
      const all = [...page.messages, ...now.messages];
      this.current.value = {
        messages: all.slice(0, MAX_LOADED),
        hasEarlier: page.hasEarlier,
        hasLater: now.hasLater || all.length > MAX_LOADED,
      };
    });
  }

  later(): Promise<void> {
    return this.inTurn(async () => {
      const now = this.current.value;
      const last = now?.messages.at(-1);
      if (!now?.hasLater || !last) return;
      const page = await this.calls.messages(this.chat, {
        limit: PAGE_MESSAGES,
        after: last.place,
      });
      const all = [...now.messages, ...page.messages];
      this.current.value = {
        messages: all.slice(-MAX_LOADED),
        hasEarlier: now.hasEarlier || all.length > MAX_LOADED,
        hasLater: page.hasLater,
      };
    });
  }

  has(id: MessageId): boolean {
    return this.current.value?.messages.some((message) => message.id === id) ?? false;
  }

  heard(event: EngineEvent): void {
    if (event.event !== "messages" || event.chat !== this.chat) return;
    for (const id of event.ids) this.changedIds.add(id);
    if (this.refreshQueued) return;
    this.refreshQueued = true;
    void this.inTurn(async () => {
      this.refreshQueued = false;
      const ids = [...this.changedIds];
      this.changedIds.clear();
      await this.refresh(ids);
    });
  }

  private async refresh(ids: MessageId[]): Promise<void> {
    const now = this.current.value;
    if (!now) return;
    const known = ids.filter((id) => this.has(id));
    if (known.length > MOST_SINGLE || ids.length - known.length > MOST_SINGLE) {
      return this.readAgain(now);
    }
    const singles = await Promise.all(
      known.map(async (id) => {
        const page = await this.calls.messages(this.chat, { limit: 1, around: id });
        return [id, page.messages.find((message) => message.id === id)] as const;
      }),
    );
    const fresh = new Map(singles);
    const kept = now.messages.flatMap((message) => {
      if (!fresh.has(message.id)) return [message];
      const changed = fresh.get(message.id);
      // It went, or it moved to another place.
      return changed ? [changed.place === message.place ? sameOr(message, changed) : changed] : [];
    });
    kept.sort((one, other) => one.place - other.place);
    if (known.length === ids.length || now.hasLater) {
      this.current.value = { ...now, messages: kept };
      if (known.length < ids.length) await this.readAgain(this.current.value);
      return;
    }
    const last = now.messages.at(-1);
    const page = await this.calls.messages(
      this.chat,
      last ? { limit: PAGE_MESSAGES, after: last.place } : { limit: PAGE_MESSAGES },
    );
    const all = [...kept, ...page.messages];
    this.current.value = {
      messages: all.slice(-MAX_LOADED),
      hasEarlier: now.hasEarlier || all.length > MAX_LOADED,
      hasLater: page.hasLater,
    };
    const late = ids.some((id) => !known.includes(id) && !all.some((each) => each.id === id));
    if (late) await this.readAgain(this.current.value);
  }

  /** From the first that is loaded on, as many as there are: something came in between. */
  private async readAgain(now: WindowState): Promise<void> {
    const first = now.messages[0];
    if (!first) {
      this.current.value = await this.calls.messages(this.chat, { limit: PAGE_MESSAGES });
      return;
    }
    const old = new Map(now.messages.map((message) => [message.id, message]));
    const page = await this.calls.messages(this.chat, {
      limit: Math.min(now.messages.length + MOST_SINGLE, MAX_LOADED),
      // Places are whole numbers: just below the first includes it.
      after: first.place - 0.5,
    });
    this.current.value = {
      messages: page.messages.map((message) => {
        const before = old.get(message.id);
        return before ? sameOr(before, message) : message;
      }),
      hasEarlier: now.hasEarlier,
      hasLater: page.hasLater,
    };
  }

  private inTurn(step: () => Promise<void>): Promise<void> {
    this.last = this.last.then(step).then(
      () => {
        this.broken.value = false;
      },
      () => {
        this.broken.value = true;
      },
    );
    return this.last;
  }
}

/** The old object where nothing is different, so that its row is not drawn again. */
function sameOr(before: Message, after: Message): Message {
  return JSON.stringify(before) === JSON.stringify(after) ? before : after;
}
