/**
 * Telling senders what has arrived: encrypted, in batches, after a random while.
 *
 * What is owed stands in the database until a node took the receipt. A receipt itself is neither
 * kept in the outbox nor confirmed: if it is lost, the sender offers the message again, and is
 * shown the proof that it was opened. Strangers are told nothing before they are accepted.
 */

import { type Content, Kind } from "../e2ee/content";
import type { RandomBytes } from "../e2ee/crypto";
import { retryAfter } from "../network/backoff";
import type { Clock } from "../network/clock";
import type { Connection } from "../network/connection";
import { NoNode } from "../network/errors";
import type { Reader } from "../store/change";
import type { Database } from "../store/database";
import type { ReceiptRow } from "../store/rows";
import { Turns } from "../store/turns";
import { fromHex } from "../wire/bytes";
import { TaceError } from "../wire/errors";
import type { Envelope } from "../wire/objects";
import { type Addressing, latestHours, NoRecord } from "./addressing";
import type { Identity } from "./contract";
import { type Directory, NeverOnline } from "./directory";
import { LOOKED_UP_FOR_MS } from "./lookups";
import type { Outbox } from "./outbox";

/** A receipt waits at random up to this long, so that its time says little about the message's. */
export const LATEST_MS = 2_000;
/** A receipt with so many ids has room for a handshake and an introduction. */
const IDS_IN_ONE = 64;

export interface ReceiptsParts {
  database: Database;
  directory: Directory;
  addressing: Addressing;
  outbox: Outbox;
  clock: Clock;
  chance: () => number;
  random: RandomBytes;
  /** It failed for a reason that trying again does not mend. */
  failed: (error: unknown) => void;
}

export class Receipts {
  private readonly turns = new Turns();
  private timer: { dueMs: number; cancel: () => void } | null = null;
  private failures = 0;
  private isStopped = false;

  constructor(private readonly parts: ReceiptsParts) {}

  /** Send what is owed within two seconds. */
  soon(): void {
    this.within(this.parts.chance() * LATEST_MS);
  }

  /** Send nothing more; resolves when what is under way is done. */
  async stop(): Promise<void> {
    this.isStopped = true;
    this.timer?.cancel();
    this.timer = null;
    await this.turns.run(async () => {});
  }

  private within(milliseconds: number): void {
    if (this.isStopped) return;
    const dueMs = this.parts.clock.now() + milliseconds;
    if (this.timer && this.timer.dueMs <= dueMs) return;
    this.timer?.cancel();
    const cancel = this.parts.clock.after(milliseconds, () => {
      this.timer = null;
      this.sendQuietly().catch((error: unknown) => this.parts.failed(error));
    });
    this.timer = { dueMs, cancel };
  }

  private async sendQuietly(): Promise<void> {
    try {
      await this.send();
    } catch (error) {
      // What did not go stays owed; what breaks for another reason is broken for good.
      if (!(error instanceof TaceError)) throw error;
    }
    if ((await this.owed(this.parts.database.reader)).size) {
      this.failures += 1;
      this.within(retryAfter(this.failures, this.parts.chance));
    } else {
      this.failures = 0;
    }
  }

  /**
   * Send everything that is owed; who cannot be told keeps nobody else from it.
   *
   * @throws NoNode no node could be reached, or none took something; that stays owed.
   */
  send(): Promise<void> {
    return this.turns.run(async () => {
      const owed = await this.owed(this.parts.database.reader);
      let failed: TaceError | null = null;
      for (const [identity, receipts] of owed) {
        try {
          await this.confirm(identity, receipts);
        } catch (error) {
          if (!(error instanceof TaceError)) throw error;
          // Without any node nobody else needs to be tried.
          if (error instanceof NoNode) throw error;
          failed = error;
        }
      }
      if (failed) throw failed;
    });
  }

  /** What is owed to contacts. */
  private async owed(reader: Reader): Promise<Map<Identity, ReceiptRow[]>> {
    const owed = new Map<Identity, ReceiptRow[]>();
    for (const receipt of await reader.all("receipt")) {
      const known = owed.get(receipt.peer);
      if (known) known.push(receipt);
      else owed.set(receipt.peer, [receipt]);
    }
    for (const identity of [...owed.keys()]) {
      const person = await reader.get("person", identity);
      if (person?.standing !== "contact") owed.delete(identity);
    }
    return owed;
  }

  private async confirm(identity: Identity, receipts: readonly ReceiptRow[]): Promise<void> {
    for (const state of [1, 2] as const) {
      const all = receipts.filter((receipt) => receipt.state === state);
      for (let at = 0; at < all.length; at += IDS_IN_ONE) {
        await this.confirmSome(identity, state, all.slice(at, at + IDS_IN_ONE));
      }
    }
  }

  private async confirmSome(
    identity: Identity,
    state: 1 | 2,
    receipts: readonly ReceiptRow[],
  ): Promise<void> {
    const { database, outbox } = this.parts;
    const connection = await outbox.connected();
    const person = await database.reader.get("person", identity);
    if (person?.deviceList && !person.lookedUpMs) {
      // They wrote from a device that was not on the list that is known.
      await ignoring(NeverOnline, outbox.lookUp(identity, LOOKED_UP_FOR_MS));
    }
    let envelopes = await this.envelopes(identity, state, receipts, connection);
    if (!envelopes.length) {
      await ignoring(NeverOnline, outbox.lookUp(identity, 0));
      envelopes = await this.envelopes(identity, state, receipts, connection);
    }
    if (envelopes.length) {
      const results = await outbox.offer(envelopes);
      if (!results.some((result) => result.copies > 0)) return;
    }
    // Told, or nobody to tell any more.
    await database.change(async (change) => {
      for (const receipt of receipts) {
        const owed = await change.get("receipt", [identity, receipt.id]);
        if (owed?.state === state) change.remove("receipt", [identity, receipt.id]);
      }
    });
  }

  /** One for each device, encrypted in one change before anything leaves; none where none can be. */
  private async envelopes(
    identity: Identity,
    state: 1 | 2,
    receipts: readonly ReceiptRow[],
    connection: Connection,
  ): Promise<Envelope[]> {
    const { database, directory, addressing, clock, random } = this.parts;
    const nowMs = clock.now();
    const content: Content = {
      id: random(16),
      counter: 0,
      sentMs: nowMs,
      replyTo: null,
      body: { kind: Kind.RECEIPT, state, ids: receipts.map((receipt) => fromHex(receipt.id)) },
    };
    const { networkId, maxLifetimeHours } = connection.challenge;
    const terms = {
      networkId,
      latestHours: latestHours(connection.nodeNow / 1000, maxLifetimeHours),
    };
    return await database.change(async (change) => {
      const attempt = change.branch();
      const envelopes: Envelope[] = [];
      try {
        for (const device of await directory.devices(attempt, identity, nowMs)) {
          const { envelope } = await addressing.encrypt(attempt, device, [content], terms, nowMs);
          envelopes.push(envelope);
        }
      } catch (error) {
        if (error instanceof NoRecord) return [];
        throw error;
      }
      attempt.merge();
      return envelopes;
    });
  }
}

async function ignoring(kind: new (...args: never[]) => Error, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof kind)) throw error;
  }
}
