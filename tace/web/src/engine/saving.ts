/** What was said, into the history: each kind of content (docs/protocol/e2ee.md, section 9). */

import { type Body, type Content, decodeBody, encodeBody, Kind, READ } from "../e2ee/content";
import { Joining, MAX_JOINING } from "../e2ee/parts";
import { keepLooseEnd, oweReceipt, partsOf, removeParts, wholesInParts } from "../store/arrivals";
import type { Change } from "../store/change";
import { messageByContent } from "../store/messages";
import {
  confirmedBy,
  encryptAnew,
  outgoingOf,
  outgoingOfMessage,
  parcelsOf,
  removeOutgoing,
} from "../store/outbox";
import { amendPerson, isUnchecked } from "../store/people";
import {
  type DeviceId,
  type FileRow,
  Introduction,
  type MessageRow,
  type TargetChange,
} from "../store/rows";
import { hex } from "../wire/bytes";
import { Malformed } from "../wire/errors";
import type { Identity, MessageId } from "./contract";
import { addReceived, applyChange, removeMessage } from "./history";
import type { News } from "./news";

import type { Placed } from "./showing";
import { setMessageState } from "./states";

/** What saving brings about. */
export interface Saved {
  news: News;
  /** New in the history, and not shown yet. */
  messages: MessageRow[];
  placed: Placed[];
  owesReceipts: boolean;
  /** Somebody asked for what they could not read: it waits in the outbox. */
  sendAgain: boolean;
}

/** Who said it, and when it came. */
export interface From {
  identity: Identity;
  device: DeviceId;
  nowMs: number;
}

export async function saveContent(
  change: Change,
  content: Content,
  from: From,
  saved: Saved,
): Promise<void> {
  const { body } = content;
  const { identity, device } = from;
  const person = await change.get("person", identity);
  const isSilenced = person?.standing === "blocked";
  switch (body.kind) {
    case Kind.RECEIPT:
      for (const id of body.ids) await confirm(change, from, hex(id), body.state, saved);
      return;
    case Kind.PROFILE: {
      const name = presentable(body.name);
      if (!name || isSilenced || !person) return;
      if (isUnchecked(person, device)) {
        // What it calls its owner is shown as late as everything else of it.
        const named = person.unchecked?.map((each) =>
          each.device === device ? { ...each, name } : each,
        );
        await amendPerson(change, identity, { unchecked: named ?? [] });
        return;
      }
      if (name === person.name) return;
      await amendPerson(change, identity, { name });
      saved.news.chat(identity);
      return;
    }
    case Kind.CONTACTS_MAILBOX: {
      const row = await change.get("device", [identity, device]);
      if (row) change.put("device", { ...row, contactsMailbox: body.mailbox });
      return;
    }
    case Kind.SESSION_REQUEST:
      if (!isSilenced) await sendAgain(change, identity, saved);
      break;
    default:
      if (isSilenced) {
        // It leaves no trace but its place: what comes after they are let in again is not held up.
        saved.placed.push({ chat: identity, device, counter: content.counter });
        return;
      }
      if (body.kind === Kind.PART) await savePart(change, content, body, from, saved);
      else await saveBody(change, content, hex(content.id), body, content.counter, [], from, saved);
  }
  if (isSilenced) return;
  await oweReceipt(change, { peer: identity, id: hex(content.id), state: 1 });
  saved.owesReceipts = true;
}

/** Everything that was not receipted is encrypted anew for them. */
export async function sendAgain(change: Change, identity: Identity, saved: Saved): Promise<void> {
  for (const outgoing of await outgoingOf(change, identity)) {
    if (outgoing.device !== null) continue;
    await encryptAnew(change, outgoing);
    saved.sendAgain = true;
  }
}

/** A body with a place of its own: a text, a file, a change of another message. */
async function saveBody(
  change: Change,
  content: Content,
  contentId: MessageId,
  body: Body,
  counter: number,
  partIds: MessageId[],
  from: From,
  saved: Saved,
): Promise<void> {
  const { identity, device, nowMs } = from;
  const received = {
    chat: identity,
    contentId,
    device,
    counter,
    sentMs: content.sentMs,
    savedMs: nowMs,
    replyTo: content.replyTo && hex(content.replyTo),
    partIds,
    text: "",
    file: null,
  };
  let row: MessageRow | null = null;
  switch (body.kind) {
    case Kind.TEXT:
      row = await addReceived(change, { ...received, kind: "text", text: body.text });
      break;
    case Kind.FILE:
      row = await addReceived(change, { ...received, kind: "file", file: remoteFile(body) });
      break;
    case Kind.REACTION:
    case Kind.EDIT:
    case Kind.DELETE:
      saved.placed.push({ chat: identity, device, counter });
      await saveChange(
        change,
        hex(body.target),
        contentId,
        targetChange(body, counter),
        from,
        saved,
      );
      return;
    default:
      row = await addReceived(change, { ...received, kind: "newer" });
  }
  if (row) saved.messages.push(row);
}

/** Applied to its target, or kept where that may not be yet. */
async function saveChange(
  change: Change,
  target: MessageId,
  id: MessageId,
  said: TargetChange,
  from: From,
  saved: Saved,
): Promise<void> {
  const { identity: chat, device, nowMs } = from;
  if (isUnchecked(await change.get("person", chat), device)) {
    await keepLooseEnd(change, { chat, target, id, change: said, keptMs: nowMs, device });
    return;
  }
  const targeting = { chat, mine: false, target, id, change: said, nowMs };
  await applyChange(change, saved.news, targeting);
}

function targetChange(
  body: Extract<Body, { kind: typeof Kind.REACTION | typeof Kind.EDIT | typeof Kind.DELETE }>,
  counter: number,
): TargetChange {
  switch (body.kind) {
    case Kind.REACTION:
      return { what: "reaction", emoji: body.emoji, counter };
    case Kind.EDIT:
      return { what: "edit", text: body.text, counter };
    case Kind.DELETE:
      return { what: "delete", counter };
  }
}

function remoteFile(body: Extract<Body, { kind: typeof Kind.FILE }>): FileRow {
  const { name, type, bytes, key, expiresHours, hashes } = body;
  return {
    name: presentable(name) || "file",
    type,
    bytes,
    state: "remote",
    progress: 0,
    key,
    expiresHours,
    hashes: [...hashes],
  };
}

async function savePart(
  change: Change,
  content: Content,
  part: Extract<Body, { kind: typeof Kind.PART }>,
  from: From,
  saved: Saved,
): Promise<void> {
  const { identity, device, nowMs } = from;
  const whole = hex(part.whole);
  // The body takes the place of its first part.
  if (part.index) saved.placed.push({ chat: identity, device, counter: content.counter });
  if (await messageByContent(change, identity, false, whole)) return;
  const known = await partsOf(change, identity, whole);
  if (!known.some((row) => row.number === part.index)) {
    change.put("part", {
      peer: identity,
      whole,
      number: part.index,
      contentId: hex(content.id),
      body: encodeBody(part),
      keptMs: nowMs,
    });
  }
  const parts = await partsOf(change, identity, whole);
  let joined: Body | null = null;
  try {
    const joining = new Joining();
    for (const row of parts) {
      const stored = decodeBody(Kind.PART, row.body);
      if (stored.kind === Kind.PART) joined = joining.add(stored);
    }
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    await removeParts(change, identity, whole);
    return;
  }
  if (joined) {
    await removeParts(change, identity, whole);
    const counter = Math.max(0, content.counter - part.index);
    const ids = parts.map((row) => row.contentId);
    await saveBody(change, content, whole, joined, counter, ids, from, saved);
    return;
  }
  const unfinished = await wholesInParts(change, identity);
  for (const given of unfinished.slice(0, Math.max(0, unfinished.length - MAX_JOINING))) {
    await removeParts(change, identity, given);
  }
}

/** A receipt for one content of ours: the outbox lets go of it. */
async function confirm(
  change: Change,
  from: From,
  contentId: MessageId,
  state: number,
  saved: Saved,
): Promise<void> {
  const { identity, device, nowMs } = from;
  for (const outgoing of await confirmedBy(change, identity, contentId)) {
    const parcels = await parcelsOf(change, outgoing.seq);
    await removeOutgoing(change, outgoing.seq);
    if (outgoing.device !== null) await removeUnreadable(change, saved.news, identity, device);
    const row = await change.get("device", [identity, device]);
    const introduced = parcels.some((parcel) => parcel.introduces && parcel.device === device);
    if (introduced && row?.introduction === Introduction.SENT) {
      // Until now our name and mailbox rode on everything that had room for them.
      change.put("device", { ...row, introduction: Introduction.CONFIRMED });
    }
    if (outgoing.message === null) continue;
    if (!(await outgoingOfMessage(change, identity, outgoing.message)).length) {
      await setMessageState(change, saved.news, outgoing.message, "delivered", nowMs, {});
    }
  }
  if (state !== READ) return;
  const byPart = { index: "byFirstPart", range: IDBKeyRange.only([identity, contentId]) } as const;
  const read =
    (await messageByContent(change, identity, true, contentId)) ??
    (await change.all("message", byPart))[0];
  if (read) await setMessageState(change, saved.news, read.id, "read", nowMs, {});
}

/** A name from a stranger: one line, without characters that move or hide others. */
export function presentable(name: string): string {
  return name.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "").trim();
}

/** What could not be read was read after all, or is on its way again: that is not said any more. */
export async function removeUnreadable(
  change: Change,
  news: News,
  chat: Identity,
  device: DeviceId,
): Promise<void> {
  const range = IDBKeyRange.only([chat, device, 0]);
  for (const row of await change.all("message", { index: "byCounter", range })) {
    if (row.kind === "unreadable") removeMessage(change, news, row);
  }
}
