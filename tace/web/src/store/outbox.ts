/** The outbox: contents that nobody has confirmed, and their encrypted copies for devices. */

import type { Identity, MessageId } from "../engine/contract";
import { type Change, prefix, type Reader } from "./change";
import { nextSequence } from "./meta";
import type { DeviceId, OutgoingRow, ParcelRow } from "./rows";

/** The first of what is to be sent; contents are encrypted in the order of their numbers. */
export async function addOutgoing(
  change: Change,
  outgoing: Omit<OutgoingRow, "seq" | "addressed">,
): Promise<void> {
  const addressed = outgoing.upload === null ? 0 : 2;
  change.put("outgoing", { ...outgoing, seq: await nextSequence(change), addressed });
}

/** What waits until a file is at the nodes. */
export function waitingForUpload(reader: Reader): Promise<OutgoingRow[]> {
  return reader.all("outgoing", { index: "byAddressed", range: IDBKeyRange.only(2) });
}

/** What is not encrypted for any device yet, oldest first. */
export function unaddressed(reader: Reader): Promise<OutgoingRow[]> {
  return reader.all("outgoing", { index: "byAddressed", range: IDBKeyRange.only(0) });
}

export function outgoingOf(reader: Reader, peer: Identity): Promise<OutgoingRow[]> {
  return reader.all("outgoing", { index: "byPeer", range: IDBKeyRange.only(peer) });
}

/** What a receipt from that person for that content lets go of. */
export function confirmedBy(
  reader: Reader,
  peer: Identity,
  contentId: MessageId,
): Promise<OutgoingRow[]> {
  return reader.all("outgoing", { index: "byContent", range: IDBKeyRange.only([peer, contentId]) });
}

/** What is still in the outbox of one message. */
export function outgoingOfMessage(
  reader: Reader,
  peer: Identity,
  message: MessageId,
): Promise<OutgoingRow[]> {
  return reader.all("outgoing", { index: "byMessage", range: IDBKeyRange.only([peer, message]) });
}

/** What has expired without a confirmation. */
export function overdue(reader: Reader, nowHours: number): Promise<OutgoingRow[]> {
  return reader.all("outgoing", { index: "byExpiry", range: IDBKeyRange.upperBound(nowHours) });
}

export function parcelsOf(reader: Reader, outgoing: number): Promise<ParcelRow[]> {
  return reader.all("parcel", { index: "byOutgoing", range: IDBKeyRange.only(outgoing) });
}

/** The parcels of each content of a message that is still in the outbox. */
export async function parcelsOfMessage(
  reader: Reader,
  peer: Identity,
  message: MessageId,
): Promise<ParcelRow[][]> {
  const contents = await outgoingOfMessage(reader, peer, message);
  return await Promise.all(contents.map((content) => parcelsOf(reader, content.seq)));
}

/** Its parcels are dropped, and it is encrypted anew. */
export async function encryptAnew(change: Change, outgoing: OutgoingRow): Promise<void> {
  for (const parcel of await parcelsOf(change, outgoing.seq)) change.remove("parcel", parcel.seq);
  if (outgoing.addressed === 1) change.put("outgoing", { ...outgoing, addressed: 0 });
}

/** Let go of it, and of its parcels. */
export async function removeOutgoing(change: Change, seq: number): Promise<void> {
  for (const parcel of await parcelsOf(change, seq)) change.remove("parcel", parcel.seq);
  change.remove("outgoing", seq);
}

export async function addParcel(
  change: Change,
  parcel: Pick<ParcelRow, "outgoing" | "envelopeId" | "envelope" | "stamped" | "introduces"> & {
    device: DeviceId;
    nextMs: number;
  },
): Promise<void> {
  const seq = await nextSequence(change);
  const fresh = { state: "waiting", copies: 0, replicas: 0, attempts: 0, refusal: null } as const;
  change.put("parcel", { ...parcel, ...fresh, seq });
}

/** Parcels that are offered: what no majority has, and what is offered once more. */
export type Offered = Exclude<ParcelRow["state"], "acked">;
const OFFERED: readonly Offered[] = ["waiting", "stored"];

/**
 * Those whose time has come, in the order in which they were encrypted: a ratchet's messages open
 * soonest that way.
 *
 * What needs no stamp comes first: it does not wait for the work that the others need.
 */
export async function dueParcels(
  reader: Reader,
  state: Offered,
  nowMs: number,
  limit: number,
): Promise<ParcelRow[]> {
  const seqs: number[] = [];
  for (const stamped of [0, 1]) {
    if (seqs.length >= limit) break;
    const range = IDBKeyRange.bound([state, stamped, 0], [state, stamped, nowMs]);
    const found = (await reader.keys("parcel", { index: "due", range })) as number[];
    seqs.push(...found.sort((a, b) => a - b).slice(0, limit - seqs.length));
  }
  const rows = await Promise.all(seqs.map((seq) => reader.get("parcel", seq)));
  return rows.filter((row) => row !== undefined);
}

/** Is there any whose time has come? */
export async function isAnyDue(reader: Reader, nowMs: number): Promise<boolean> {
  const due = await nextDueMs(reader);
  return due !== null && due <= nowMs;
}

/** When the next parcel is to be offered (again); null where there is none. */
export async function nextDueMs(reader: Reader): Promise<number | null> {
  const kinds = OFFERED.flatMap((state) => [0, 1].map((stamped) => prefix(state, stamped)));
  const first = await Promise.all(
    kinds.map((range) => reader.all("parcel", { index: "due", range, limit: 1 })),
  );
  const times = first.flat().flatMap((parcel) => (parcel.nextMs === null ? [] : [parcel.nextMs]));
  return times.length ? Math.min(...times) : null;
}

/** Offer once more, now, what nodes took and nobody confirmed. */
export async function makeStoredDue(change: Change): Promise<void> {
  for (const parcel of await change.all("parcel")) {
    if (parcel.state === "stored") change.put("parcel", { ...parcel, nextMs: 0 });
  }
}

/** Offer what waits now: everything, or all that is for one person. */
export async function makeWaitingDue(change: Change, peer?: Identity): Promise<void> {
  const contents = peer === undefined ? null : await outgoingOf(change, peer);
  const parcels = contents
    ? (await Promise.all(contents.map((content) => parcelsOf(change, content.seq)))).flat()
    : await change.all("parcel");
  for (const parcel of parcels) {
    if (parcel.state === "waiting" && parcel.nextMs !== 0) {
      change.put("parcel", { ...parcel, nextMs: 0 });
    }
  }
}
