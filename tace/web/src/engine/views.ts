/** Rows of the database as pages see them. */

import type { MessageRow, PersonRow } from "../store/rows";
import type { Chat, ChatPreview, Message, Quote, Reaction } from "./contract";

const QUOTE_CHARACTERS = 200;
/** How much of a contact code stands for somebody without a name. */
const SHORT_CODE_CHARACTERS = 13;

/** What to call somebody. */
export function titleOf(person: Pick<PersonRow, "alias" | "name">, code: string): string {
  return person.alias || person.name || shortCode(code);
}

export function shortCode(code: string): string {
  return `${code.slice(0, SHORT_CODE_CHARACTERS)}…`;
}

/** A stranger of whom nothing has come that could be answered is not there yet. */
export function isShown(person: PersonRow): boolean {
  return person.standing !== "request" || person.last !== null || Boolean(person.unchecked?.length);
}

export function chatView(person: PersonRow, code: string): Chat {
  const { last, standing } = person;
  // Of a stranger nothing is given out before the person accepts.
  const text = standing === "contact" ? (last?.text ?? "") : "";
  const preview: ChatPreview | null = last && { ...last, text };
  return {
    identity: person.identity,
    title: titleOf(person, code),
    name: person.name,
    alias: person.alias,
    code,
    standing,
    verified: person.verified,
    newDeviceSinceMs: person.newDeviceSinceMs,
    unlistedDevice: person.unlistedDevice,
    uncheckedDevice: standing === "contact" && Boolean(person.unchecked?.length),
    muted: person.muted,
    pinned: person.pinned,
    archived: person.archived,
    retentionDays: person.retentionDays,
    unread: person.unread,
    firstUnread: person.firstUnread,
    draft: person.draft,
    last: preview,
    activeMs: person.activeMs,
  };
}

/** @param quoted the message that it answers, where that is here. */
export function messageView(row: MessageRow, quoted: MessageRow | undefined): Message {
  return {
    id: row.id,
    chat: row.chat,
    mine: row.mine === 1,
    place: row.place ?? 0,
    kind: row.kind,
    text: row.text,
    sentMs: row.sentMs,
    savedMs: row.savedMs,
    state: row.state,
    edited: row.editCounter > 0,
    replyTo: row.replyTo === null ? null : quoteOf(row.replyTo, quoted),
    reactions: reactionsOf(row),
    file: row.file && {
      name: row.file.name,
      type: row.file.type,
      bytes: row.file.bytes,
      state: row.file.state,
      progress: row.file.progress,
    },
  };
}

/** What of a message is needed to quote it. */
type Quotable = Pick<MessageRow, "id" | "mine" | "kind" | "text"> & {
  file: { name: string } | null;
};

/** @param quoted the message with this id, where that is here. */
export function quoteOf(id: string, quoted: Quotable | undefined): Quote {
  if (!quoted) return { id, mine: false, kind: "gone", text: "" };
  const text = quoted.file?.name ?? quoted.text;
  return {
    id: quoted.id,
    mine: quoted.mine === 1,
    kind: quoted.kind,
    text: text.slice(0, QUOTE_CHARACTERS),
  };
}

function reactionsOf(row: MessageRow): Reaction[] {
  const mine = row.myReaction?.emoji ?? "";
  const theirs = row.theirReaction?.emoji ?? "";
  const emojis = [...new Set([mine, theirs])].filter((emoji) => emoji !== "");
  return emojis.map((emoji) => ({ emoji, mine: emoji === mine, theirs: emoji === theirs }));
}
