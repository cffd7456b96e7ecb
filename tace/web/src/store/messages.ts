/** The history: each message once, where it stands in its chat, and what the list shows of it. */

import type { Identity, MessageId, PageRequest } from "../engine/contract";
import { type Change, prefix, type Reader } from "./change";
import type { LastMessage, MessageRow, PersonRow } from "./rows";

/** Between two messages that came in order: room for a late one between them, again and again. */
export const PLACE_STEP = 1 << 20;
const PREVIEW_CHARACTERS = 200;

/** By the id that both sides know it by. */
export async function messageByContent(
  reader: Reader,
  chat: Identity,
  mine: boolean,
  contentId: MessageId,
): Promise<MessageRow | undefined> {
  const range = IDBKeyRange.only([chat, mine ? 1 : 0, contentId]);
  return (await reader.all("message", { index: "byContent", range, limit: 1 }))[0];
}

/** Whoever said it: the one that a reply or a reaction names. */
export async function messageNamed(
  reader: Reader,
  chat: Identity,
  contentId: MessageId,
): Promise<MessageRow | undefined> {
  return (
    (await messageByContent(reader, chat, false, contentId)) ??
    (await messageByContent(reader, chat, true, contentId))
  );
}

/**
 * Where a message belongs that was shown now: at the end; or, where something that its sender said
 * later stands already, right before that.
 */
export async function placeFor(
  reader: Reader,
  person: PersonRow,
  device: string,
  counter: number,
): Promise<number> {
  const end = (Math.floor(person.lastPlace / PLACE_STEP) + 1) * PLACE_STEP;
  if (counter === 0) return end;
  const { identity } = person;
  const later = IDBKeyRange.bound([identity, device, counter], [identity, device, []], true);
  const [next] = (
    await reader.all("message", { index: "byCounter", range: later, limit: 8 })
  ).filter((message) => message.place !== null);
  if (!next || next.place === null) return end;
  const earlier = IDBKeyRange.bound([identity, 0], [identity, next.place], false, true);
  const query = { index: "byPlace", range: earlier, reverse: true, limit: 1 } as const;
  const [before] = await reader.all("message", query);
  const between = ((before?.place ?? 0) + next.place) / 2;
  // After fifty halvings there is no number left between: who sends like that reads it at the end.
  return between > (before?.place ?? 0) && between < next.place ? between : end;
}

/** Bring what the list shows of a chat up to date with its history. */
export async function summarise(change: Change, chat: Identity): Promise<PersonRow | undefined> {
  const person = await change.get("person", chat);
  if (!person) return undefined;
  const [newest] = await change.all("message", {
    index: "byPlace",
    range: prefix(chat),
    reverse: true,
    limit: 1,
  });
  const unread = await change.keys("message", { index: "unread", range: prefix(chat, 1) });
  const summarised: PersonRow = {
    ...person,
    last: newest ? lastOf(newest) : null,
    activeMs: newest ? Math.max(newest.savedMs, 0) : person.activeMs,
    lastPlace: Math.max(person.lastPlace, newest?.place ?? 0),
    unread: unread.length,
    firstUnread: typeof unread[0] === "string" ? unread[0] : null,
  };
  change.put("person", summarised);
  return summarised;
}

function lastOf(message: MessageRow): LastMessage {
  return {
    mine: message.mine === 1,
    kind: message.kind,
    text: (message.file?.name ?? message.text).slice(0, PREVIEW_CHARACTERS),
    sentMs: message.sentMs,
    state: message.state,
  };
}

export interface Page {
  messages: MessageRow[];
  hasEarlier: boolean;
  hasLater: boolean;
}

/** A window of a chat, in order of place; nothing beyond it is read but one message either side. */
export async function page(reader: Reader, chat: Identity, request: PageRequest): Promise<Page> {
  const { limit } = request;
  if (request.around !== undefined) {
    const middle = await reader.get("message", request.around);
    if (middle?.chat === chat && middle.place !== null) {
      const half = Math.floor(limit / 2);
      const earlier = await before(reader, chat, middle.place, half);
      const later = await from(reader, chat, middle.place, limit - earlier.messages.length, false);
      return {
        messages: [...earlier.messages, ...later.messages],
        hasEarlier: earlier.more,
        hasLater: later.more,
      };
    }
  }
  if (request.after !== undefined) {
    const later = await from(reader, chat, request.after, limit, true);
    const { messages, more } = later;
    const first = messages[0]?.place ?? Number.MAX_VALUE;
    const earlier = await before(reader, chat, first, 0);
    return { messages, hasEarlier: earlier.more, hasLater: more };
  }
  const end = request.before ?? Number.MAX_VALUE;
  const { messages, more } = await before(reader, chat, end, limit);
  const hasLater =
    request.before !== undefined && (await from(reader, chat, request.before, 0, false)).more;
  return { messages, hasEarlier: more, hasLater };
}

async function before(
  reader: Reader,
  chat: Identity,
  place: number,
  limit: number,
): Promise<{ messages: MessageRow[]; more: boolean }> {
  const range = IDBKeyRange.bound([chat, 0], [chat, place], false, true);
  const query = { index: "byPlace", range, reverse: true, limit: limit + 1 } as const;
  const found = await reader.all("message", query);
  return { messages: found.slice(0, limit).reverse(), more: found.length > limit };
}

async function from(
  reader: Reader,
  chat: Identity,
  place: number,
  limit: number,
  after: boolean,
): Promise<{ messages: MessageRow[]; more: boolean }> {
  const range = IDBKeyRange.bound([chat, place], [chat, []], after);
  const found = await reader.all("message", { index: "byPlace", range, limit: limit + 1 });
  return { messages: found.slice(0, limit), more: found.length > limit };
}
