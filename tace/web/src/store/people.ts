/** People and their devices: where to write to, and the sessions with them. */

import type { Identity } from "../engine/contract";
import { type Change, prefix, type Reader } from "./change";
import { meta } from "./meta";
import { type DeviceId, type DeviceRow, Introduction, type PersonRow } from "./rows";

/** Somebody of whom nothing is known yet. */
function newPerson(
  identity: Identity,
  standing: PersonRow["standing"],
  nowMs: number,
  nextCounter: number,
): PersonRow {
  return {
    identity,
    name: "",
    deviceList: null,
    lookedUpMs: 0,
    nextCounter,
    alias: "",
    standing,
    verified: false,
    newDeviceSinceMs: null,
    unlistedDevice: false,
    muted: false,
    pinned: false,
    archived: false,
    retentionDays: "global",
    draft: "",
    unread: 0,
    firstUnread: null,
    last: null,
    activeMs: nowMs,
    lastPlace: 0,
  };
}

/**
 * Put in somebody of whom nothing is known.
 *
 * What is said to one person is counted for ever, also over a chat that was deleted and begun
 * anew: so the count of whoever comes now begins above all that was ever deleted. That tells
 * nobody who it was.
 */
export async function addPerson(
  change: Change,
  identity: Identity,
  standing: PersonRow["standing"],
  nowMs: number,
): Promise<PersonRow> {
  const floor = (await meta(change, "counterFloor")) ?? 1;
  const person = newPerson(identity, standing, nowMs, floor);
  change.put("person", person);
  return person;
}

export function newDevice(identity: Identity, device: DeviceId): DeviceRow {
  return {
    identity,
    device,
    record: null,
    inboxKey: null,
    contactsMailbox: null,
    introduction: Introduction.NOT_SENT,
    nextShown: null,
    resetMs: 0,
    pair: null,
  };
}

export function devicesOf(reader: Reader, identity: Identity): Promise<DeviceRow[]> {
  return reader.all("device", { range: prefix(identity) });
}

/** Is it new, so that nothing of it is shown before its owner's list was looked at? */
export function isUnchecked(person: PersonRow | undefined, device: DeviceId): boolean {
  return person?.unchecked?.some((each) => each.device === device) ?? false;
}

/** How many strangers wait to be answered. */
export async function countRequests(reader: Reader): Promise<number> {
  const range = IDBKeyRange.only("request");
  return (await reader.keys("person", { index: "byStanding", range })).length;
}

/** Change some of what is known of a person who is there; nothing happens where they are not. */
export async function amendPerson(
  change: Change,
  identity: Identity,
  amendment: Partial<PersonRow>,
): Promise<PersonRow | undefined> {
  const person = await change.get("person", identity);
  if (!person) return undefined;
  const amended = { ...person, ...amendment };
  change.put("person", amended);
  return amended;
}
