/**
 * Finding out where somebody can be written to: their device list and their devices' records.
 *
 * A record older than the one that is known, of somebody else, or unsigned is never taken.
 */

import { parseDeviceList, parseDeviceRecord } from "../e2ee/records";
import type { Connection } from "../network/connection";
import type { Reader } from "../store/change";
import type { Database } from "../store/database";
import { identityPoint } from "../store/ids";
import { devicesOf, newDevice } from "../store/people";
import type { DeviceId, DeviceRow, PersonRow } from "../store/rows";
import { type Bytes, equal, fromHex, hex } from "../wire/bytes";
import { FindRecord } from "../wire/client";
import type { Points } from "../wire/digest";
import { BadRecord, TaceError } from "../wire/errors";
import {
  compareUserRecords,
  KIND_DEVICE,
  KIND_DEVICE_LIST,
  parseUserRecord,
  type UserRecord,
  type UserRecordKind,
  userRecordKey,
} from "../wire/user-record";
import type { Identity } from "./contract";
import { News } from "./news";

const HOUR_MS = 3_600_000;

/** They have published no record: their program never reached the network. */
export class NeverOnline extends TaceError {
  constructor() {
    super("never-online", "has never been online");
  }
}

/** The devices that a device list names. */
export async function listedDevices(encoded: Uint8Array, points: Points): Promise<DeviceId[]> {
  const list = await parseDeviceList(await parseUserRecord(encoded, points));
  return list.devices.map((listed) => hex(listed.device));
}

export class Directory {
  constructor(
    private readonly database: Database,
    private readonly points: Points,
    private readonly publish: (news: News) => void,
  ) {}

  /**
   * The devices to write to, by what is known here: those their list names, as far as their
   * records hold; without a list, those that wrote to us and said where they take an answer.
   */
  async devices(reader: Reader, identity: Identity, nowMs: number): Promise<DeviceRow[]> {
    const person = await reader.get("person", identity);
    const devices = await devicesOf(reader, identity);
    if (!person?.deviceList) return devices.filter(answerable);
    const listed = await listedDevices(person.deviceList, this.points);
    const known = devices.filter((row) => listed.includes(row.device));
    const reachable = await Promise.all(
      known.map(async (row) => answerable(row) || (await this.recordHolds(row, nowMs))),
    );
    return known.filter((_, at) => reachable[at]);
  }

  /**
   * Ask a node for somebody's records.
   *
   * @throws NeverOnline nobody has any, and none that holds is known here.
   * @throws TaceError the node did not say.
   */
  async lookUp(connection: Connection, identity: Identity, nowMs: number): Promise<void> {
    const known = await this.database.reader.get("person", identity);
    const found = await this.find(
      connection,
      { kind: KIND_DEVICE_LIST, identity },
      known?.deviceList ?? null,
      nowMs,
    );
    const list = found && (await listOf(found));
    if (!list) {
      await this.database.change(async (change) => {
        const person = await change.get("person", identity);
        if (person) change.put("person", { ...person, lookedUpMs: nowMs });
      });
      if ((await this.devices(this.database.reader, identity, nowMs)).length) return;
      throw new NeverOnline();
    }
    const devices = list.devices.map((listed) => hex(listed.device));
    const records: { device: DeviceId; record: UserRecord; inboxKey: Bytes }[] = [];
    // One after the other: people have one device, seldom more.
    for (const device of devices) {
      const row = await this.database.reader.get("device", [identity, device]);
      const wanted = { kind: KIND_DEVICE, identity, device } as const;
      const record = await this.find(connection, wanted, row?.record ?? null, nowMs);
      const parsed = record && (await deviceRecordOf(record));
      if (record && parsed) records.push({ device, record, inboxKey: parsed.inboxKey });
    }
    const news = new News();
    await this.database.change(async (change) => {
      // Read again: a message may have changed the row while we asked.
      const person = await change.get("person", identity);
      if (!person) return;
      const isNew = await this.namesNewDevice(person, devices);
      change.put("person", {
        ...person,
        deviceList: found.encoded,
        lookedUpMs: nowMs,
        newDeviceSinceMs: isNew ? nowMs : person.newDeviceSinceMs,
      });
      if (isNew) news.chat(identity);
      for (const { device, record, inboxKey } of records) {
        const row = (await change.get("device", [identity, device])) ?? newDevice(identity, device);
        change.put("device", { ...row, record: record.encoded, inboxKey });
      }
    });
    this.publish(news);
  }

  private async namesNewDevice(person: PersonRow, devices: readonly DeviceId[]): Promise<boolean> {
    if (!person.deviceList) return false;
    const before = await listedDevices(person.deviceList, this.points);
    return before.length > 0 && devices.some((device) => !before.includes(device));
  }

  private async recordHolds(row: DeviceRow, nowMs: number): Promise<boolean> {
    if (!row.record) return false;
    return (await parseUserRecord(row.record, this.points)).expiresHours * HOUR_MS > nowMs;
  }

  /** What is published under that key, or what is known where that is the newer one. */
  private async find(
    connection: Connection,
    wanted: { kind: UserRecordKind; identity: Identity; device?: DeviceId },
    knownEncoded: Uint8Array | null,
    nowMs: number,
  ): Promise<UserRecord | null> {
    const identity = identityPoint(wanted.identity);
    const device = wanted.device === undefined ? new Uint8Array(32) : fromHex(wanted.device);
    const key = await userRecordKey(wanted.kind, identity, device);
    const { record } = await connection.request(FindRecord, { key });
    const known = knownEncoded && (await parseUserRecord(knownEncoded, this.points));
    // One that is over still tells an old record from a newer one, but is of no use itself.
    const usable = known && known.expiresHours * HOUR_MS > nowMs ? known : null;
    if (!record.length) return usable;
    let found: UserRecord;
    try {
      found = await parseUserRecord(record, this.points);
    } catch (error) {
      if (error instanceof BadRecord) return usable;
      throw error;
    }
    const isWanted =
      found.kind === wanted.kind &&
      equal(found.identity, identity) &&
      equal(found.device, device) &&
      found.expiresHours * HOUR_MS > nowMs;
    if (!isWanted) return usable;
    return known && compareUserRecords(found, known) <= 0 ? usable : found;
  }
}

function answerable(row: DeviceRow): boolean {
  return row.inboxKey !== null && row.contactsMailbox !== null && row.pair !== null;
}

async function listOf(record: UserRecord) {
  try {
    return await parseDeviceList(record);
  } catch (error) {
    if (error instanceof BadRecord) return null;
    throw error;
  }
}

/** Signed by its owner and still not usable: a newer version, for instance. */
async function deviceRecordOf(record: UserRecord) {
  try {
    return await parseDeviceRecord(record);
  } catch (error) {
    if (error instanceof BadRecord) return null;
    throw error;
  }
}
