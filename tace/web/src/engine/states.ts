/** How far a message of ours has come. */

import type { Change } from "../store/change";
import type { Delivery, MessageRow } from "../store/rows";
import type { MessageId, MessageState } from "./contract";
import type { News } from "./news";

/**
 * How far it has come is never taken back: not by a node that loses a copy, or says so, and not
 * because it is encrypted anew. It may fail until it was delivered.
 */
const RANK: Record<MessageState, number> = {
  saved: 0,
  failed: 0,
  stored: 1,
  delivered: 2,
  read: 3,
};

/** A message of ours that is put into the history now. */
export function newDelivery(parts: number, expiresMs: number): Delivery {
  return {
    copies: 0,
    of: 0,
    node: null,
    storedMs: null,
    deliveredMs: null,
    readMs: null,
    refusal: null,
    parts,
    expiresMs,
  };
}

/**
 * @param details what is known beside it; what is left out stays.
 */
export async function setMessageState(
  change: Change,
  news: News,
  id: MessageId,
  state: MessageState,
  nowMs: number,
  details: Partial<Pick<Delivery, "copies" | "of" | "node" | "refusal" | "expiresMs">>,
): Promise<void> {
  const row = await change.get("message", id);
  if (!row?.delivery) return;
  const mayFail = state === "failed" && RANK[row.state] < RANK.delivered;
  if (RANK[state] < RANK[row.state] && !mayFail) return;
  const { waiting: _, ...rest } = row;
  const delivery = { ...row.delivery, ...details };
  if (RANK[state] >= RANK.stored) delivery.storedMs ??= nowMs;
  if (RANK[state] >= RANK.delivered) delivery.deliveredMs ??= nowMs;
  if (state === "read") delivery.readMs ??= nowMs;
  const after: MessageRow = { ...rest, state, delivery };
  if (state === "saved") after.waiting = 1;
  change.put("message", after);
  if (after.state !== row.state || delivery.copies !== row.delivery.copies) {
    news.message(row.chat, id);
  }
}
