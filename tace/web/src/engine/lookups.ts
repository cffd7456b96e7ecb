/** Looking people up on a connection, and who is to be looked up. */

import type { Clock } from "../network/clock";
import type { Connection } from "../network/connection";
import type { Database } from "../store/database";
import { encryptAnew, outgoingOf, parcelsOf } from "../store/outbox";
import { Refusal } from "../wire/errors";
import type { Identity } from "./contract";
import { type Directory, NeverOnline } from "./directory";

/** How long a recipient's records are taken as they are while the program runs. */
export const LOOKED_UP_FOR_MS = 60_000;
const UNCONFIRMED_MS = 30_000;
/** Who has not confirmed for 30 s is looked up again, at most so often: they may have moved. */
const RECHECK_MS = 120_000;

export class Lookups {
  constructor(
    private readonly database: Database,
    private readonly directory: Directory,
    private readonly clock: Clock,
  ) {}

  /**
   * Everybody who has not confirmed what was written a while ago, and is to be looked up again: once
   * since it was written, and every two minutes.
   */
  async outdated(nowMs: number): Promise<Identity[]> {
    const { reader } = this.database;
    const writtenMs = new Map<Identity, number>();
    for (const each of await reader.all("outgoing")) {
      if (each.device !== null || each.writtenMs >= nowMs - UNCONFIRMED_MS) continue;
      writtenMs.set(each.peer, Math.max(each.writtenMs, writtenMs.get(each.peer) ?? 0));
    }
    const found: Identity[] = [];
    for (const [identity, written] of writtenMs) {
      const person = await reader.get("person", identity);
      if (!person) continue;
      const age = nowMs - person.lookedUpMs;
      if (age < 0 || age >= RECHECK_MS || person.lookedUpMs < written) found.push(identity);
    }
    return found;
  }

  /**
   * Make sure that somebody's records are known and not older than that.
   *
   * @throws NeverOnline they have published none.
   */
  async lookUp(connection: Connection, identity: Identity, maxAgeMs: number): Promise<void> {
    const { database, directory, clock } = this;
    const now = clock.now();
    const person = await database.reader.get("person", identity);
    const known = await directory.devices(database.reader, identity, now);
    const age = person ? now - person.lookedUpMs : -1;
    if (age >= 0 && age < maxAgeMs) {
      if (known.length) return;
      throw new NeverOnline();
    }
    await directory.lookUp(connection, identity, now);
    const current = await directory.devices(database.reader, identity, now);
    await database.change(async (change) => {
      for (const outgoing of await outgoingOf(change, identity)) {
        if (outgoing.addressed !== 1 || outgoing.device !== null) continue;
        const parcels = await parcelsOf(change, outgoing.seq);
        const reached = new Set(parcels.map((parcel) => parcel.device));
        // They have a device that it was not encrypted for.
        if (current.some((row) => !reached.has(row.device))) await encryptAnew(change, outgoing);
      }
    });
  }

  /** The same; what is known will do where it fails, or nothing. */
  async tryLookUp(connection: Connection, identity: Identity, maxAgeMs: number): Promise<void> {
    try {
      await this.lookUp(connection, identity, maxAgeMs);
    } catch (error) {
      // What is known will do, and where nothing is known it stays in the outbox.
      if (!(error instanceof NeverOnline || error instanceof Refusal)) throw error;
    }
  }
}
