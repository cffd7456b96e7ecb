/** Messages with what stands between them: days, the "new" line, and which bubbles belong together. */

import { daysBetween } from "../app/dates";
import type { Message, MessageId } from "../engine/contract";

/** Longer than this apart, two messages of one person are two groups. */
const GROUP_MS = 5 * 60_000;

export type TimelineRow =
  | { row: "day"; key: string; ms: number }
  | { row: "new"; key: "new" }
  | { row: "message"; key: MessageId; message: Message; first: boolean; last: boolean };

/** @param firstUnread the message that the "new" line stands before, or null. */
export function timeline(
  messages: readonly Message[],
  firstUnread: MessageId | null,
): TimelineRow[] {
  const rows: TimelineRow[] = [];
  messages.forEach((message, at) => {
    const previous = messages[at - 1];
    const next = messages[at + 1];
    const newDay = !previous || daysBetween(previous.sentMs, message.sentMs) !== 0;
    if (newDay) rows.push({ row: "day", key: `day-${message.id}`, ms: message.sentMs });
    if (message.id === firstUnread) rows.push({ row: "new", key: "new" });
    rows.push({
      row: "message",
      key: message.id,
      message,
      first: newDay || message.id === firstUnread || !together(previous, message),
      last: !next || next.id === firstUnread || !together(message, next),
    });
  });
  return rows;
}

function together(one: Message, other: Message): boolean {
  return (
    one.mine === other.mine &&
    Math.abs(other.sentMs - one.sentMs) <= GROUP_MS &&
    daysBetween(one.sentMs, other.sentMs) === 0
  );
}
