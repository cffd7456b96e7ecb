/** What this user says: texts, files, edits, deletions, reactions; and what they have read. */

import { type Body, Kind } from "../e2ee/content";
import type { RandomBytes } from "../e2ee/crypto";
import { chunkHash, sealChunk } from "../e2ee/file";
import { TooLarge } from "../e2ee/parts";
import type { Clock } from "../network/clock";
import { oweReceipt } from "../store/arrivals";
import type { Change } from "../store/change";
import type { Database } from "../store/database";
import { messageByContent, PLACE_STEP } from "../store/messages";
import { meta } from "../store/meta";
import { makeWaitingDue, outgoingOfMessage, removeOutgoing } from "../store/outbox";
import type { FileRow, MessageRow, PersonRow, TargetChange } from "../store/rows";
import { type Bytes, fromHex } from "../wire/bytes";
import { type Addressing, LIFETIME_HOURS } from "./addressing";
import { EngineError, type Identity, type MessageId } from "./contract";
import { MAX_FILE_BYTES } from "./files";
import { applyChange, removeMessage, summariseChanged, withoutContent } from "./history";
import { News } from "./news";
import { newDelivery } from "./states";

const HOUR_MS = 3_600_000;
const MAX_TEXT_BYTES = 65_536;
const MAX_EMOJI_BYTES = 32;
const KEY_BYTES = 32;

export interface TalkParts {
  database: Database;
  addressing: Addressing;
  clock: Clock;
  random: RandomBytes;
  publish: (news: News) => void;
  /** Something waits in the outbox. */
  flushSoon: () => void;
  receiptsSoon: () => void;
  /** Somebody is a contact now: what waits for that goes on. */
  letIn: () => void;
}

export class Talk {
  constructor(private readonly parts: TalkParts) {}

  async send(
    chat: Identity,
    id: MessageId,
    text: string,
    replyTo: MessageId | null,
  ): Promise<void> {
    if (byteLength(text) > MAX_TEXT_BYTES) throw new EngineError("too-large");
    await this.say(chat, id, { kind: Kind.TEXT, text }, replyTo, { kind: "text", text });
  }

  async sendFile(
    chat: Identity,
    id: MessageId,
    file: { name: string; type: string; bytes: Uint8Array },
    replyTo: MessageId | null,
  ): Promise<void> {
    const { name, type } = file;
    if (file.bytes.length > MAX_FILE_BYTES) throw new EngineError("too-large");
    const bytes = new Uint8Array(file.bytes);
    const key = this.parts.random(KEY_BYTES);
    const hashes = [await chunkHash(await sealChunk(key, 0, 1, bytes))];
    const expiresHours = Math.floor(this.parts.clock.now() / HOUR_MS) + LIFETIME_HOURS;
    const known = { name, type, bytes: bytes.length, key, expiresHours, hashes };
    const row: FileRow = { ...known, state: "here", progress: 1 };
    const body = { kind: Kind.FILE, ...known } as const;
    await this.say(chat, id, body, replyTo, { kind: "file", text: "", file: row, bytes });
  }

  async edit(id: MessageId, text: string): Promise<void> {
    if (byteLength(text) > MAX_TEXT_BYTES) throw new EngineError("too-large");
    await this.amend(id, async (change, news, row) => {
      if (!row.mine || row.kind !== "text") throw new EngineError("not-yours");
      if (row.text === text) return;
      const target = fromHex(row.contentId);
      const body = { kind: Kind.EDIT, target, text } as const;
      await this.tell(change, news, row, body, (counter) => ({ what: "edit", text, counter }));
    });
  }

  async deleteMessage(id: MessageId): Promise<void> {
    await this.amend(id, async (change, news, row) => {
      if (!row.mine) {
        removeMessage(change, news, row);
        return;
      }
      if (row.kind === "deleted") return;
      const contents = await outgoingOfMessage(change, row.chat, id);
      if (contents.length && contents.every((content) => content.addressed !== 1)) {
        // It never left this device.
        for (const content of contents) await removeOutgoing(change, content.seq);
        removeMessage(change, news, row);
        return;
      }
      const body = { kind: Kind.DELETE, target: fromHex(row.contentId) } as const;
      await this.tell(change, news, row, body, (counter) => ({ what: "delete", counter }));
      if (row.state === "failed") {
        const known = await change.get("message", id);
        if (known) change.put("message", withoutContent(known));
      }
    });
  }

  async react(id: MessageId, emoji: string): Promise<void> {
    if (byteLength(emoji) > MAX_EMOJI_BYTES) throw new EngineError("too-large");
    await this.amend(id, async (change, news, row) => {
      if (row.kind === "deleted" || (row.myReaction?.emoji ?? "") === emoji) return;
      const target = fromHex(row.contentId);
      const body = { kind: Kind.REACTION, target, emoji } as const;
      await this.tell(change, news, row, body, (counter) => ({
        what: "reaction",
        emoji,
        counter,
      }));
    });
  }

  async retry(id: MessageId): Promise<void> {
    await this.amend(id, async (change, news, row) => {
      if (!row.mine) throw new EngineError("not-yours");
      if (row.state !== "failed") {
        await makeWaitingDue(change, row.chat);
        return;
      }
      const person = await sendable(change, news, row.chat);
      const nowMs = this.parts.clock.now();
      // Under the same ids and counter: who has it already shows it once.
      const { ids } = await this.parts.addressing.write(change, {
        person,
        id: row.contentId,
        body: bodyOf(row),
        replyTo: row.replyTo,
        message: id,
        counter: row.counter,
        nowMs,
        ...(row.file && { upload: id }),
      });
      const delivery = newDelivery(ids.length, expiryMs(nowMs));
      const { firstPart: _, ...rest } = row;
      const after: MessageRow = { ...rest, state: "saved", waiting: 1, delivery };
      if (ids.length > 1 && ids[0] !== undefined) after.firstPart = ids[0];
      change.put("message", after);
      news.message(row.chat, id);
    });
  }

  /** Everything up to that place was seen. */
  async markRead(chat: Identity, place: number): Promise<void> {
    const { database } = this.parts;
    const news = new News();
    let isTold = false;
    await database.change(async (change) => {
      const settings = await meta(change, "settings");
      const person = await change.get("person", chat);
      const range = IDBKeyRange.bound([chat, 1, 0], [chat, 1, place]);
      for (const row of await change.all("message", { index: "unread", range })) {
        const { unread: _, ...read } = row;
        change.put("message", read);
        news.message(chat, row.id);
        if (!settings?.readReceipts || person?.standing !== "contact") continue;
        const ids = row.partIds.length ? row.partIds : [row.contentId];
        for (const id of ids) await oweReceipt(change, { peer: chat, id, state: 2 });
        isTold = true;
      }
      await summariseChanged(change, news);
    });
    this.parts.publish(news);
    if (isTold) this.parts.receiptsSoon();
  }

  // -- inside -------------------------------------------------------------------------------------

  private async say(
    chat: Identity,
    id: MessageId,
    body: Body,
    replyTo: MessageId | null,
    shown: { kind: "text" | "file"; text: string; file?: FileRow; bytes?: Bytes },
  ): Promise<void> {
    if (!/^[0-9a-f]{32}$/.test(id)) throw new EngineError("bad-id");
    const { database, addressing, clock } = this.parts;
    const nowMs = clock.now();
    const news = new News();
    await database.change(async (change) => {
      // Asked twice it is sent once.
      if (await messageByContent(change, chat, true, id)) return;
      if (await change.get("message", id)) throw new EngineError("bad-id");
      const person = await sendable(change, news, chat);
      const answered = replyTo === null ? undefined : await change.get("message", replyTo);
      const quoted = answered?.chat === chat ? answered.contentId : null;
      const written = await wrapped(() =>
        addressing.write(change, {
          person,
          id,
          body,
          replyTo: quoted,
          message: id,
          nowMs,
          ...(shown.file && { upload: id }),
        }),
      );
      const place = (Math.floor(person.lastPlace / PLACE_STEP) + 1) * PLACE_STEP;
      change.put("person", { ...written.person, draft: "", lastPlace: place });
      const row: MessageRow = {
        id,
        chat,
        contentId: id,
        mine: 1,
        place,
        waiting: 1,
        kind: shown.kind,
        text: shown.text,
        sentMs: nowMs,
        savedMs: nowMs,
        state: "saved",
        device: "",
        counter: written.counter,
        editCounter: 0,
        replyTo: quoted,
        partIds: [],
        myReaction: null,
        theirReaction: null,
        file: shown.file ?? null,
        delivery: newDelivery(written.ids.length, expiryMs(nowMs)),
      };
      if (written.ids.length > 1 && written.ids[0] !== undefined) row.firstPart = written.ids[0];
      change.put("message", row);
      if (shown.bytes) change.put("file", { id, bytes: shown.bytes });
      news.message(chat, id);
      await summariseChanged(change, news);
    });
    this.parts.publish(news);
    this.parts.flushSoon();
    if (news.letsIn) this.parts.letIn();
  }

  private async amend(
    id: MessageId,
    work: (change: Change, news: News, row: MessageRow) => Promise<void>,
  ): Promise<void> {
    const news = new News();
    await this.parts.database.change(async (change) => {
      const row = await change.get("message", id);
      if (!row) throw new EngineError("unknown-message");
      await wrapped(() => work(change, news, row));
      await summariseChanged(change, news);
    });
    this.parts.publish(news);
    this.parts.flushSoon();
    if (news.letsIn) this.parts.letIn();
  }

  /** Say a change of a message to the other side, and apply it here. */
  private async tell(
    change: Change,
    news: News,
    row: MessageRow,
    body: Body,
    changeOf: (counter: number) => TargetChange,
  ): Promise<void> {
    const { addressing, clock, random } = this.parts;
    const person = await sendable(change, news, row.chat);
    const nowMs = clock.now();
    const id = [...random(16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    const writing = { person, id, body, replyTo: null, message: null, nowMs };
    const { counter } = await addressing.write(change, writing);
    await applyChange(change, news, {
      chat: row.chat,
      mine: true,
      target: row.contentId,
      id,
      change: changeOf(counter),
      nowMs,
    });
  }
}

/** Writing to a stranger accepts them. @throws EngineError unknown-chat, blocked */
async function sendable(change: Change, news: News, chat: Identity): Promise<PersonRow> {
  const person = await change.get("person", chat);
  if (!person) throw new EngineError("unknown-chat");
  if (person.standing === "blocked") throw new EngineError("blocked");
  if (person.standing === "contact") return person;
  news.letsIn = true;
  return { ...person, standing: "contact" };
}

function bodyOf(row: MessageRow): Body {
  if (!row.file) return { kind: Kind.TEXT, text: row.text };
  const { name, type, bytes, key, expiresHours, hashes } = row.file;
  return { kind: Kind.FILE, name, type, bytes, key, expiresHours, hashes };
}

async function wrapped<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof TooLarge) throw new EngineError("too-large");
    throw error;
  }
}

function expiryMs(nowMs: number): number {
  return (Math.floor(nowMs / HOUR_MS) + LIFETIME_HOURS) * HOUR_MS;
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
