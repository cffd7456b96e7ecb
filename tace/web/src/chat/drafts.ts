/**
 * What is being typed, so that nothing typed is ever lost. The engine keeps drafts with the chats,
 * a moment later; beside it each key lands at once in the browser's own storage, which survives a
 * reload that comes before that moment.
 */

import type { Identity } from "../engine/contract";

const PREFIX = "tace.draft.";

export type DraftStorage = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export class Drafts {
  /** @param storage null where the browser gives none: then the engine's copy has to do. */
  constructor(private readonly storage: DraftStorage | null) {}

  /** What was typed last; null: nothing is known here, ask the chat. */
  read(chat: Identity): string | null {
    try {
      return this.storage?.getItem(PREFIX + chat) ?? null;
    } catch {
      return null;
    }
  }

  /** @returns whether it is kept; false when storage is full or refused. */
  write(chat: Identity, text: string): boolean {
    try {
      this.storage?.setItem(PREFIX + chat, text);
      return this.storage !== null;
    } catch {
      return false;
    }
  }

  /** When the engine has it on the disk, unless more was typed meanwhile. */
  settled(chat: Identity, text: string): void {
    try {
      if (this.storage?.getItem(PREFIX + chat) === text) this.storage.removeItem(PREFIX + chat);
    } catch {
      return;
    }
  }
}

export function browserDrafts(): Drafts {
  try {
    return new Drafts(localStorage);
  } catch {
    return new Drafts(null);
  }
}
