/** What this user does about people: adds, accepts, blocks, verifies, forgets them. */

import { NotASafetyCode, safetyMatches, safetyNumber } from "../e2ee/safety";
import type { Clock } from "../network/clock";
import { type Change, prefix } from "../store/change";
import type { Database } from "../store/database";
import { identityPoint, identityText } from "../store/ids";
import { meta, setMeta } from "../store/meta";
import { outgoingOf, removeOutgoing } from "../store/outbox";
import { addPerson } from "../store/people";
import type { PersonRow } from "../store/rows";
import type { Chat, ContactCard, Identity } from "./contract";
import { EngineError } from "./contract";
import { removeMessage, summariseChanged } from "./history";
import { News } from "./news";
import type { Own } from "./own";
import { parsedLink } from "./queries";
import { setMessageState } from "./states";

const MAX_ALIAS = 64;
const MAX_DRAFT = 100_000;
const MAX_CARDS = 10_000;

export interface PeopleParts {
  database: Database;
  own: Own;
  clock: Clock;
  publish: (news: News) => void;
  flushSoon: () => void;
  /** Somebody is a contact now: what waits for that goes on. */
  letIn: () => void;
  /** What was held back of theirs is gone. */
  forgotten: (identity: Identity) => void;
}

export class People {
  constructor(private readonly parts: PeopleParts) {}

  async addContact(text: string, alias: string): Promise<Identity> {
    const { own, clock } = this.parts;
    const { identity: point } = await parsedLink(text);
    const identity = identityText(point);
    if (identity === own.text) throw new EngineError("own-link");
    const news = new News();
    await this.parts.database.change(async (change) => {
      const known =
        (await change.get("person", identity)) ??
        (await addPerson(change, identity, "contact", clock.now()));
      const named = alias.trim().slice(0, MAX_ALIAS) || known.alias;
      change.put("person", { ...known, alias: named, standing: "contact" });
      news.chat(identity);
    });
    this.parts.publish(news);
    this.parts.letIn();
    return identity;
  }

  async accept(identity: Identity): Promise<void> {
    await this.amend(identity, (person) => ({ ...person, standing: "contact" }));
    this.parts.letIn();
  }

  /** What they say from now on is dropped; what was on its way to them is not sent any more. */
  async block(identity: Identity): Promise<void> {
    const news = new News();
    const nowMs = this.parts.clock.now();
    await this.parts.database.change(async (change) => {
      const person = await known(change, identity);
      change.put("person", { ...person, standing: "blocked" });
      news.chat(identity);
      for (const outgoing of await outgoingOf(change, identity)) {
        await removeOutgoing(change, outgoing.seq);
        if (outgoing.message === null) continue;
        await setMessageState(change, news, outgoing.message, "failed", nowMs, {});
      }
      const range = prefix(identity, 1);
      for (const row of await change.all("message", { index: "unread", range })) {
        const { unread: _, ...read } = row;
        change.put("message", read);
        news.message(identity, row.id);
      }
      await summariseChanged(change, news);
    });
    this.parts.publish(news);
  }

  async unblock(identity: Identity): Promise<void> {
    await this.amend(identity, (person) =>
      person.standing === "blocked" ? { ...person, standing: "contact" } : person,
    );
    this.parts.letIn();
  }

  async deleteChat(identity: Identity): Promise<void> {
    const news = new News();
    await this.parts.database.change(async (change) => {
      const person = await change.get("person", identity);
      if (!person) return;
      const floor = (await meta(change, "counterFloor")) ?? 1;
      setMeta(change, "counterFloor", Math.max(floor, person.nextCounter));
      await removeHistory(change, news, identity);
      for (const outgoing of await outgoingOf(change, identity)) {
        await removeOutgoing(change, outgoing.seq);
      }
      for (const table of ["device", "part", "receipt", "looseEnd"] as const) {
        for (const key of await change.keys(table, { range: prefix(identity) })) {
          change.remove(table, key);
        }
      }
      const kept = { index: "byDevice", range: prefix(identity) } as const;
      for (const key of await change.keys("unreadable", kept)) change.remove("unreadable", key);
      change.remove("person", identity);
      news.chat(identity);
    });
    this.parts.forgotten(identity);
    this.parts.publish(news);
  }

  async clearHistory(identity: Identity): Promise<void> {
    const news = new News();
    await this.parts.database.change(async (change) => {
      await removeHistory(change, news, identity);
      news.chat(identity);
      await summariseChanged(change, news);
    });
    this.parts.publish(news);
  }

  async setChat(
    identity: Identity,
    wanted: Partial<Pick<Chat, "alias" | "muted" | "pinned" | "archived" | "retentionDays">>,
  ): Promise<void> {
    const { alias, muted, pinned, archived, retentionDays } = wanted;
    await this.amend(identity, (person) => ({
      ...person,
      alias: alias === undefined ? person.alias : alias.trim().slice(0, MAX_ALIAS),
      muted: muted ?? person.muted,
      pinned: pinned ?? person.pinned,
      archived: archived ?? person.archived,
      retentionDays: retentionDays === undefined ? person.retentionDays : retentionDays,
    }));
  }

  async setVerified(identity: Identity, verified: boolean): Promise<void> {
    await this.amend(identity, (person) => ({ ...person, verified }));
  }

  async scanSafety(identity: Identity, scanned: Uint8Array): Promise<boolean> {
    const { own } = this.parts;
    let isSame: boolean;
    try {
      isSame = safetyMatches(await safetyNumber(own.point, identityPoint(identity)), scanned);
    } catch (error) {
      if (error instanceof NotASafetyCode) throw new EngineError("not-a-safety-code");
      throw error;
    }
    if (isSame) await this.setVerified(identity, true);
    return isSame;
  }

  async newDeviceSeen(identity: Identity): Promise<void> {
    await this.amend(identity, (person) => ({
      ...person,
      newDeviceSinceMs: null,
      unlistedDevice: false,
    }));
  }

  async setDraft(identity: Identity, text: string): Promise<void> {
    const draft = text.slice(0, MAX_DRAFT);
    await this.amend(identity, (person) => ({ ...person, draft }));
  }

  async importContacts(cards: readonly ContactCard[]): Promise<number> {
    if (!Array.isArray(cards) || cards.length > MAX_CARDS) throw new EngineError("bad-contacts");
    const { own, clock } = this.parts;
    const points = await Promise.all(
      cards.map(async (card) => {
        try {
          return { card, identity: identityText((await parsedLink(String(card.code))).identity) };
        } catch {
          throw new EngineError("bad-contacts");
        }
      }),
    );
    let added = 0;
    const news = new News();
    await this.parts.database.change(async (change) => {
      for (const { card, identity } of points) {
        if (identity === own.text || (await change.get("person", identity))) continue;
        const person = await addPerson(change, identity, "contact", clock.now());
        const alias = String(card.name).slice(0, MAX_ALIAS);
        change.put("person", { ...person, alias, verified: card.verified === true });
        news.chat(identity);
        added += 1;
      }
    });
    this.parts.publish(news);
    return added;
  }

  private async amend(
    identity: Identity,
    amendment: (person: PersonRow) => PersonRow,
  ): Promise<void> {
    const news = new News();
    await this.parts.database.change(async (change) => {
      change.put("person", amendment(await known(change, identity)));
      news.chat(identity);
    });
    this.parts.publish(news);
  }
}

async function known(change: Change, identity: Identity): Promise<PersonRow> {
  const person = await change.get("person", identity);
  if (!person) throw new EngineError("unknown-chat");
  return person;
}

async function removeHistory(change: Change, news: News, identity: Identity): Promise<void> {
  const range = prefix(identity);
  for (const row of await change.all("message", { index: "byContent", range })) {
    removeMessage(change, news, row);
  }
}
