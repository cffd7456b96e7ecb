/** What a change has brought, gathered while it is worked out and told when it is on the disk. */

import type { EngineEvent, Identity, MessageId } from "./contract";

export class News {
  /** Somebody who wrote is a contact by it. */
  letsIn = false;
  private readonly chats = new Set<Identity>();
  private readonly messages = new Map<Identity, Set<MessageId>>();
  private readonly arrivals = new Map<Identity, { request: boolean; ids: MessageId[] }>();

  /** Something of it in the list is different. */
  chat(identity: Identity): void {
    this.chats.add(identity);
  }

  /** A message is new, different, or gone; so its chat is as well. */
  message(chat: Identity, id: MessageId): void {
    this.chats.add(chat);
    const ids = this.messages.get(chat);
    if (ids) ids.add(id);
    else this.messages.set(chat, new Set([id]));
  }

  /** Something came that a person may be told of. */
  arrived(chat: Identity, request: boolean, id: MessageId): void {
    const known = this.arrivals.get(chat);
    if (known) known.ids.push(id);
    else this.arrivals.set(chat, { request, ids: [id] });
  }

  /** The chats in which messages changed: their summaries are to be made anew. */
  get changedChats(): Identity[] {
    return [...this.messages.keys()];
  }

  events(): EngineEvent[] {
    const events: EngineEvent[] = [];
    for (const [chat, ids] of this.messages) {
      events.push({ event: "messages", chat, ids: [...ids] });
    }
    if (this.chats.size) events.push({ event: "chats", identities: [...this.chats] });
    for (const [chat, { request, ids }] of this.arrivals) {
      events.push({ event: "arrived", chat, request, ids });
    }
    return events;
  }
}
