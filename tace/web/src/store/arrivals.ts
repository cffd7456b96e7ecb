/** What came, as far as it is not in the history: until it is dealt with. */

import type { Identity, MessageId } from "../engine/contract";
import { type Change, prefix, type Reader } from "./change";
import type { DeviceId, LooseEndRow, PartRow, ReceiptRow, UnreadableRow } from "./rows";

/** How many unreadable envelopes are kept, of one claimed sender and of all. */
export const MAX_KEPT_OF_ONE = 100;
export const MAX_KEPT = 1000;
/** How many changes whose target is not here wait for it, of one person. */
export const MAX_LOOSE_ENDS = 256;

/**
 * Keep what could not be read; the oldest make room, of that person and then of all. Among all,
 * those who claim to be nobody known go first.
 */
export async function keepUnreadable(
  change: Change,
  unreadable: UnreadableRow,
  isKnown: (peer: Identity) => Promise<boolean>,
): Promise<void> {
  if (await change.get("unreadable", unreadable.id)) return;
  change.put("unreadable", unreadable);
  const all = await change.all("unreadable", { index: "byKept" });
  const theirs = all.filter((each) => each.peer === unreadable.peer);
  for (const old of theirs.slice(0, Math.max(0, theirs.length - MAX_KEPT_OF_ONE))) {
    change.remove("unreadable", old.id);
  }
  if (all.length > MAX_KEPT) {
    const known = await Promise.all(all.map((each) => isKnown(each.peer)));
    const first = all.find((_, at) => !known[at]) ?? all[0];
    if (first) change.remove("unreadable", first.id);
  }
}

/** What is kept of one device, oldest first. */
export async function unreadableOf(
  reader: Reader,
  peer: Identity,
  device: string,
): Promise<UnreadableRow[]> {
  const range = IDBKeyRange.only([peer, device]);
  const found = await reader.all("unreadable", { index: "byDevice", range });
  return found.sort((a, b) => a.keptMs - b.keptMs);
}

export function partsOf(reader: Reader, peer: Identity, whole: MessageId): Promise<PartRow[]> {
  return reader.all("part", { range: prefix(peer, whole) });
}

export async function removeParts(change: Change, peer: Identity, whole: MessageId): Promise<void> {
  for (const part of await partsOf(change, peer, whole)) {
    change.remove("part", [peer, whole, part.number]);
  }
}

/** The bodies of that person that are not complete, the one that began first in front. */
export async function wholesInParts(reader: Reader, peer: Identity): Promise<MessageId[]> {
  const began = new Map<MessageId, number>();
  for (const part of await reader.all("part", { range: prefix(peer) })) {
    began.set(part.whole, Math.min(part.keptMs, began.get(part.whole) ?? part.keptMs));
  }
  return [...began].sort(([, a], [, b]) => a - b).map(([whole]) => whole);
}

/** Owe a receipt; "read" says "delivered" too. */
export async function oweReceipt(change: Change, receipt: ReceiptRow): Promise<void> {
  const owed = await change.get("receipt", [receipt.peer, receipt.id]);
  if (!owed || owed.state < receipt.state) change.put("receipt", receipt);
}

/** Keep a change of a message that is not here; the oldest of that person make room. */
export async function keepLooseEnd(change: Change, end: LooseEndRow): Promise<void> {
  change.put("looseEnd", end);
  const theirs = await change.all("looseEnd", { index: "byKept", range: prefix(end.chat) });
  for (const old of theirs.slice(0, Math.max(0, theirs.length - MAX_LOOSE_ENDS))) {
    change.remove("looseEnd", [old.chat, old.target, old.id]);
  }
}

/** What waited for that message, taken out. */
export async function takeLooseEnds(
  change: Change,
  chat: Identity,
  target: MessageId,
): Promise<LooseEndRow[]> {
  const found = await change.all("looseEnd", { range: prefix(chat, target) });
  return taken(
    change,
    found.filter((end) => end.device === undefined),
  );
}

/** What waited until that device was looked up, taken out, the oldest in front. */
export async function takeEndsOf(
  change: Change,
  chat: Identity,
  device: DeviceId,
): Promise<LooseEndRow[]> {
  const found = await change.all("looseEnd", { index: "byKept", range: prefix(chat) });
  return taken(
    change,
    found.filter((end) => end.device === device),
  );
}

function taken(change: Change, ends: LooseEndRow[]): LooseEndRow[] {
  for (const end of ends) change.remove("looseEnd", [end.chat, end.target, end.id]);
  return ends;
}
