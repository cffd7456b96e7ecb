/** Putting what was said into the history, and changing what stands there. */

import { keepLooseEnd, takeLooseEnds } from "../store/arrivals";
import type { Change } from "../store/change";
import { messageByContent, messageNamed, summarise } from "../store/messages";
import { nextSequence } from "../store/meta";
import type { FileRow, MessageRow, TargetChange } from "../store/rows";
import type { Identity, MessageId, MessageKind } from "./contract";
import type { News } from "./news";

/** Something that came, as the history takes it. */
export interface Received {
  chat: Identity;
  contentId: MessageId;
  device: string;
  counter: number;
  sentMs: number;
  savedMs: number;
  kind: MessageKind;
  text: string;
  replyTo: MessageId | null;
  partIds: MessageId[];
  file: FileRow | null;
}

/**
 * Save a received message. It stands nowhere until it is shown (./showing).
 *
 * @returns null where it is in the history already.
 */
export async function addReceived(change: Change, received: Received): Promise<MessageRow | null> {
  const { chat, contentId } = received;
  if (await messageByContent(change, chat, false, contentId)) return null;
  let row: MessageRow = {
    ...received,
    id: await freeId(change, contentId),
    mine: 0,
    place: null,
    unshown: await nextSequence(change),
    state: "delivered",
    editCounter: 0,
    myReaction: null,
    theirReaction: null,
    delivery: null,
  };
  for (const end of await takeLooseEnds(change, chat, contentId)) {
    row = changed(row, false, end.change);
  }
  change.put("message", row);
  return row;
}

/** An id that no message has: two people may give theirs the same one, by chance or to confuse. */
async function freeId(change: Change, wanted: MessageId): Promise<MessageId> {
  let id = wanted;
  while (await change.get("message", id)) {
    const counted = (Number.parseInt(id.slice(-8), 16) + 1) % 0x1_0000_0000;
    id = id.slice(0, -8) + counted.toString(16).padStart(8, "0");
  }
  return id;
}

/** An edit, a deletion or a reaction: by whom, of what. */
export interface Targeting {
  chat: Identity;
  /** Did this user do it, or the other? */
  mine: boolean;
  target: MessageId;
  /** Content id of the change itself. */
  id: MessageId;
  change: TargetChange;
  nowMs: number;
}

/**
 * Apply it. Only the author edits and deletes; whose target is not there yet waits for it.
 *
 * @returns false where there is nothing to apply it to.
 */
export async function applyChange(
  change: Change,
  news: News,
  targeting: Targeting,
): Promise<boolean> {
  const { chat, mine, target, id, nowMs } = targeting;
  const found =
    targeting.change.what === "reaction"
      ? await messageNamed(change, chat, target)
      : await messageByContent(change, chat, mine, target);
  if (!found) {
    if (!mine) {
      await keepLooseEnd(change, { chat, target, id, change: targeting.change, keptMs: nowMs });
    }
    return false;
  }
  const row = changed(found, mine, targeting.change);
  if (row === found) return true;
  change.put("message", row);
  if (row.kind === "deleted") change.remove("file", row.id);
  news.message(chat, row.id);
  return true;
}

/** The message after it; itself where the change is older than what it shows. */
function changed(row: MessageRow, byMe: boolean, change: TargetChange): MessageRow {
  // A deletion wins over everything.
  if (row.kind === "deleted") return row;
  switch (change.what) {
    case "delete":
      return withoutContent(row);
    case "edit":
      if (row.kind !== "text" || change.counter <= row.editCounter) return row;
      return { ...row, text: change.text, editCounter: change.counter };
    case "reaction": {
      const known = byMe ? row.myReaction : row.theirReaction;
      if (known && change.counter <= known.counter) return row;
      const reaction = { emoji: change.emoji, counter: change.counter };
      return byMe ? { ...row, myReaction: reaction } : { ...row, theirReaction: reaction };
    }
  }
}

/** What stays of a message that was deleted: that there was one. */
export function withoutContent(row: MessageRow): MessageRow {
  const { unread: _, ...rest } = row;
  const nothing = { text: "", file: null, replyTo: null, myReaction: null, theirReaction: null };
  return { ...rest, ...nothing, kind: "deleted" };
}

/** Take a message out of the history, with its file. */
export function removeMessage(change: Change, news: News, row: MessageRow): void {
  change.remove("message", row.id);
  change.remove("file", row.id);
  news.message(row.chat, row.id);
}

/** The list follows the history: to be called at the end of a change. */
export async function summariseChanged(change: Change, news: News): Promise<void> {
  for (const chat of news.changedChats) await summarise(change, chat);
}
