/**
 * Search over the whole history: a linear scan of folded text in memory.
 *
 * Nothing is written for it: an index on the disk would be a second copy of everything that was
 * said. The texts are read at the first search and kept fresh by the engine's events.
 */

import type { Reader } from "../store/change";
import type { MessageRow } from "../store/rows";
import type { EngineEvent, Identity, MessageId, SearchRequest, SearchResult } from "./contract";
import { fold, marksIn } from "./folding";

/** How much of a text is shown around the first match. */
const BEFORE_CHARACTERS = 40;
const EXCERPT_CHARACTERS = 160;
/** What is read at a time at the first search. */
const READ_TOGETHER = 2000;

interface Entry {
  id: MessageId;
  chat: Identity;
  mine: boolean;
  sentMs: number;
  kind: "text" | "file";
  text: string;
  folded: string;
}

export class Search {
  private entries: Map<MessageId, Entry> | null = null;
  private reading: Promise<Map<MessageId, Entry>> | null = null;
  /** What changed while the history was being read. */
  private stale = new Map<Identity, Set<MessageId>>();

  /** @param titleOf what a chat is called; null: it is not searched (a request, somebody blocked). */
  constructor(
    private readonly reader: Reader,
    private readonly titleOf: (chat: Identity) => Promise<string | null>,
  ) {}

  async search(request: SearchRequest): Promise<SearchResult> {
    const entries = await this.fresh();
    const wanted = fold(request.text.trim());
    const titles = new Map<Identity, string | null>();
    const found: Entry[] = [];
    for (const entry of entries.values()) {
      if (!fits(entry, request) || !entry.folded.includes(wanted)) continue;
      if (!titles.has(entry.chat)) titles.set(entry.chat, await this.titleOf(entry.chat));
      if (titles.get(entry.chat) !== null) found.push(entry);
    }
    found.sort((a, b) => b.sentMs - a.sentMs);
    const hits = found.slice(0, request.limit).map(({ id, chat, mine, sentMs, kind, text }) => {
      const excerpt = excerptOf(text, wanted);
      const title = titles.get(chat) ?? "";
      return { id, chat, title, mine, sentMs, kind, ...excerpt };
    });
    return { total: found.length, hits };
  }

  /** What the engine tells: these messages are to be read again. */
  heard(event: EngineEvent): void {
    if (event.event === "state" && event.state.phase.at === "new") {
      this.entries = null;
      return;
    }
    if (event.event !== "messages" || (!this.entries && !this.reading)) return;
    const ids = this.stale.get(event.chat) ?? new Set();
    for (const id of event.ids) ids.add(id);
    this.stale.set(event.chat, ids);
  }

  private async fresh(): Promise<Map<MessageId, Entry>> {
    if (!this.entries) {
      this.reading ??= this.readAll();
      this.entries = await this.reading;
      this.reading = null;
    }
    const { entries, stale } = this;
    this.stale = new Map();
    for (const ids of stale.values()) {
      for (const id of ids) {
        const row = await this.reader.get("message", id);
        const entry = row && entryOf(row);
        if (entry) entries.set(id, entry);
        else entries.delete(id);
      }
    }
    return entries;
  }

  private async readAll(): Promise<Map<MessageId, Entry>> {
    const entries = new Map<MessageId, Entry>();
    let range: IDBKeyRange | undefined;
    for (;;) {
      const query = { limit: READ_TOGETHER, ...(range && { range }) };
      const rows = await this.reader.all("message", query);
      for (const row of rows) {
        const entry = entryOf(row);
        if (entry) entries.set(row.id, entry);
      }
      const last = rows.at(-1);
      if (!last || rows.length < READ_TOGETHER) return entries;
      range = IDBKeyRange.lowerBound(last.id, true);
    }
  }
}

function entryOf(row: MessageRow): Entry | null {
  if (row.place === null || (row.kind !== "text" && row.kind !== "file")) return null;
  const { id, chat, sentMs, kind } = row;
  const text = row.file?.name ?? row.text;
  return { id, chat, mine: row.mine === 1, sentMs, kind, text, folded: fold(text) };
}

function fits(entry: Entry, request: SearchRequest): boolean {
  return (
    (request.chat === undefined || entry.chat === request.chat) &&
    (request.from === undefined || (request.from === "me") === entry.mine) &&
    (request.sinceMs === undefined || entry.sentMs >= request.sinceMs) &&
    (request.untilMs === undefined || entry.sentMs <= request.untilMs) &&
    (!request.filesOnly || entry.kind === "file")
  );
}

function excerptOf(text: string, wanted: string): { text: string; marks: [number, number][] } {
  const marks = marksIn(text, wanted);
  const first = marks[0]?.[0] ?? 0;
  // Not in the middle of a character of two units.
  const starts = first <= BEFORE_CHARACTERS ? 0 : boundary(text, first - BEFORE_CHARACTERS);
  const ends = boundary(text, starts + EXCERPT_CHARACTERS);
  return {
    text: text.slice(starts, ends),
    marks: marks
      .filter(([start, end]) => start >= starts && end <= ends)
      .map(([start, end]) => [start - starts, end - starts]),
  };
}

function boundary(text: string, at: number): number {
  const unit = text.charCodeAt(at);
  return unit >= 0xdc00 && unit <= 0xdfff ? at - 1 : Math.min(at, text.length);
}
