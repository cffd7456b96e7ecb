/** Our own records: the device list and this device, signed anew in time and kept on the network. */

import { keptPrekeys, listedUntil, makePrekey, type Prekey, rotation } from "../e2ee/prekeys";
import {
  nextSequence,
  parseDeviceList,
  recordExpiryHours,
  signDeviceList,
  signDeviceRecord,
} from "../e2ee/records";
import type { Connection } from "../network/connection";
import type { Change, Reader } from "../store/change";
import type { Database } from "../store/database";
import { type Bytes, equal, hex } from "../wire/bytes";
import { FindRecord, PublishRecord } from "../wire/client";
import type { Points } from "../wire/digest";
import { BadRecord, Refusal, refusalFromWire, TaceError } from "../wire/errors";
import {
  compareUserRecords,
  KIND_DEVICE,
  KIND_DEVICE_LIST,
  parseUserRecord,
  type UserRecord,
  userRecordKey,
} from "../wire/user-record";
import type { Own } from "./own";

const HOUR_MS = 3_600_000;
/** Replicas come and go; a record is handed to them again this often. */
export const PUBLISHED_FOR_MS = 6 * HOUR_MS;
/** A record lives 30 days and is signed anew after a week, so that a holiday does not end it. */
const SIGNED_FOR_MS = 7 * 24 * HOUR_MS;
const LIFE_MS = 30 * 24 * HOUR_MS;

/** The identity was restored elsewhere, and this device is no longer its own. */
export class ReplacedIdentity extends TaceError {
  constructor() {
    super("replaced-identity", "this identity was restored on another device");
  }
}

/** Keeps this device's records on the network. One device is the whole list. */
export class Publisher {
  private constructor(
    private readonly database: Database,
    private readonly own: Own,
    private readonly points: Points,
    private readonly listKey: Bytes,
    private readonly deviceKey: Bytes,
  ) {}

  static async open(database: Database, own: Own, points: Points): Promise<Publisher> {
    return new Publisher(
      database,
      own,
      points,
      await userRecordKey(KIND_DEVICE_LIST, own.point),
      await userRecordKey(KIND_DEVICE, own.point, own.deviceId),
    );
  }

  /** Is there something to sign or to publish? */
  async due(nowMs: number): Promise<boolean> {
    const { reader } = this.database;
    const [newest] = await prekeys(reader);
    if (rotation(newest ?? null, nowMs / 1000) !== "not-yet") return true;
    for (const key of [this.deviceKey, this.listKey]) {
      const known = await reader.get("ownRecord", hex(key));
      const publishedMs = known?.publishedMs ?? null;
      if (publishedMs === null) return true;
      const age = nowMs - publishedMs;
      if (age < 0 || age >= PUBLISHED_FOR_MS) return true;
    }
    return false;
  }

  /**
   * Sign what is due and hand it to a node; true when a majority of replicas has it all.
   *
   * The device goes first, so that nobody finds it listed and not there.
   *
   * @param connection an outbox: the list that is published is looked up on it.
   * @throws ReplacedIdentity the identity was restored elsewhere.
   * @throws TaceError the node did not take it.
   */
  async publish(connection: Connection, nowMs: number): Promise<boolean> {
    const found = await this.check(connection);
    const signed = await this.database.change(async (change) => [
      { key: this.deviceKey, encoded: await this.deviceRecord(change, nowMs, null) },
      { key: this.listKey, encoded: await this.listRecord(change, nowMs, found) },
    ]);
    let everywhere = true;
    for (const { key, encoded } of signed) {
      let record = encoded;
      let isStored: boolean;
      try {
        isStored = await handOver(connection, record);
      } catch (error) {
        if (!(error instanceof Refusal) || error.code !== "stale-sequence") throw error;
        // Somebody with our code was faster, or this browser was set back.
        await this.check(connection);
        record = await this.signAbove(connection, key, record, nowMs);
        isStored = await handOver(connection, record);
      }
      if (isStored) await this.notePublished(key, record, nowMs);
      else everywhere = false;
    }
    return everywhere;
  }

  /**
   * The device list that is published, if any.
   *
   * @throws ReplacedIdentity it is newer than ours, and this device is not on it.
   */
  async check(connection: Connection): Promise<UserRecord | null> {
    const found = await this.find(connection, this.listKey);
    if (found?.kind !== KIND_DEVICE_LIST || !equal(found.identity, this.own.point)) return null;
    let isListed: boolean;
    try {
      const { devices } = await parseDeviceList(found);
      isListed = devices.some((listed) => equal(listed.device, this.own.deviceId));
    } catch (error) {
      if (error instanceof BadRecord) return null;
      throw error;
    }
    const known = await this.known(this.database.reader, this.listKey);
    if (known && compareUserRecords(found, known) > 0 && !isListed) throw new ReplacedIdentity();
    return found;
  }

  private async find(connection: Connection, key: Bytes): Promise<UserRecord | null> {
    const { record } = await connection.request(FindRecord, { key });
    if (!record.length) return null;
    try {
      return await parseUserRecord(record, this.points);
    } catch (error) {
      if (error instanceof BadRecord) return null;
      throw error;
    }
  }

  /** The same kind of record, signed anew to outdo the one that is published. */
  private async signAbove(
    connection: Connection,
    key: Bytes,
    refused: Bytes,
    nowMs: number,
  ): Promise<Bytes> {
    let { sequence } = await parseUserRecord(refused, this.points);
    const found = await this.find(connection, key);
    if (found && equal(found.identity, this.own.point) && found.sequence > sequence) {
      sequence = found.sequence;
    }
    return await this.database.change((change) =>
      key === this.deviceKey
        ? this.deviceRecord(change, nowMs, sequence)
        : this.signList(change, sequence, nowMs),
    );
  }

  /** @param above sign anew, with a sequence above this one. */
  private async deviceRecord(change: Change, nowMs: number, above: bigint | null): Promise<Bytes> {
    const now = nowMs / 1000;
    const all = await prekeys(change);
    const [newest] = all;
    const known = await this.known(change, this.deviceKey);
    const isDue = rotation(newest ?? null, now) !== "not-yet";
    if (above === null && known && !isDue && signedLately(known, nowMs)) return known.encoded;
    const expiresHours = recordExpiryHours(now);
    let current: Prekey;
    if (!newest || isDue) {
      current = await makePrekey((newest?.id ?? 0) + 1, { now, listedUntilHours: expiresHours });
      all.unshift(current);
    } else {
      current = listedUntil(newest, expiresHours);
      all[0] = current;
    }
    const sequence = nextSequence(highest(known?.sequence, above), now);
    const encoded = await signDeviceRecord(this.own.identity, this.own.keys, current, {
      sequence,
      expiresHours,
    });
    const kept = keptPrekeys(all, now);
    for (const prekey of kept) change.put("prekey", { id: prekey.id, prekey });
    for (const prekey of all) if (!kept.includes(prekey)) change.remove("prekey", prekey.id);
    change.put("ownRecord", { key: hex(this.deviceKey), encoded, publishedMs: null });
    return encoded;
  }

  private async listRecord(
    change: Change,
    nowMs: number,
    found: UserRecord | null,
  ): Promise<Bytes> {
    let known = await this.known(change, this.listKey);
    if (known && found && found.sequence > known.sequence) {
      // Newer than ours, and `check` saw that this device is on it.
      change.put("ownRecord", {
        key: hex(this.listKey),
        encoded: found.encoded,
        publishedMs: null,
      });
      known = found;
    }
    if (known && signedLately(known, nowMs)) return known.encoded;
    return await this.signList(change, highest(known?.sequence, found?.sequence), nowMs);
  }

  private async signList(change: Change, above: bigint, nowMs: number): Promise<Bytes> {
    const now = nowMs / 1000;
    const listed = { device: this.own.deviceId, addedHours: Math.floor(nowMs / HOUR_MS) };
    const encoded = await signDeviceList(this.own.identity, [listed], {
      sequence: nextSequence(above, now),
      expiresHours: recordExpiryHours(now),
    });
    change.put("ownRecord", { key: hex(this.listKey), encoded, publishedMs: null });
    return encoded;
  }

  private async notePublished(key: Bytes, encoded: Bytes, nowMs: number): Promise<void> {
    await this.database.change(async (change) => {
      const known = await change.get("ownRecord", hex(key));
      // Signed anew meanwhile: that one is still to be published.
      if (known && equal(known.encoded, encoded)) {
        change.put("ownRecord", { ...known, publishedMs: nowMs });
      }
    });
  }

  private async known(reader: Reader, key: Bytes): Promise<UserRecord | null> {
    const row = await reader.get("ownRecord", hex(key));
    return row ? await parseUserRecord(row.encoded, this.points) : null;
  }
}

/** Those whose private halves still exist, newest first. */
async function prekeys(reader: Reader): Promise<Prekey[]> {
  const rows = await reader.all("prekey", { reverse: true });
  return rows.map((row) => row.prekey);
}

/** True when a majority of replicas has it, false when fewer have. */
async function handOver(connection: Connection, record: Bytes): Promise<boolean> {
  const { state } = await connection.request(PublishRecord, { record });
  if (state !== "stored" && state !== "partial") throw refusalFromWire(state, "", 0);
  return state === "stored";
}

function signedLately(record: UserRecord, nowMs: number): boolean {
  const left = record.expiresHours * HOUR_MS - nowMs;
  return LIFE_MS - SIGNED_FOR_MS < left && left <= LIFE_MS;
}

function highest(...sequences: readonly (bigint | null | undefined)[]): bigint {
  let highest = 0n;
  for (const sequence of sequences) {
    if (typeof sequence === "bigint" && sequence > highest) highest = sequence;
  }
  return highest;
}
