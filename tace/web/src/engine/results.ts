/** What becomes of what was offered: nodes' answers noted in the outbox and the history. */

import type { Clock } from "../network/clock";
import type { Connection } from "../network/connection";
import type { Nodes } from "../network/nodes";
import type { Change } from "../store/change";
import type { Database } from "../store/database";
import {
  encryptAnew,
  outgoingOf,
  overdue,
  parcelsOf,
  parcelsOfMessage,
  removeOutgoing,
} from "../store/outbox";
import type { OutgoingRow, ParcelRow } from "../store/rows";
import { equal, hex } from "../wire/bytes";
import type { SendResult } from "../wire/client";
import { type Envelope, lockOf } from "../wire/objects";
import { isSessionRequest, latestHours, type Terms } from "./addressing";
import type { Identity, MessageId } from "./contract";
import { summariseChanged } from "./history";
import { News } from "./news";
import { offered, progressOf } from "./progress";
import { removeUnreadable } from "./saving";
import type { Stamps } from "./stamping";
import { setMessageState } from "./states";

const HOUR_MS = 3_600_000;
/** How many nodes' words that something was removed are remembered. */
const MAX_REMOVED_SAID = 1024;

/** What is offered at a node. */
export interface Ready {
  parcel: ParcelRow;
  envelope: Envelope;
}

export interface ResultsParts {
  database: Database;
  nodes: Nodes;
  stamps: Stamps;
  clock: Clock;
  /** Uniform in [0, 1). */
  chance: () => number;
  publish: (news: News) => void;
}

export class Results {
  private readonly removedSaid = new Set<string>();

  constructor(private readonly parts: ResultsParts) {}

  /** Note what became of them; false when one was not stored. */
  async apply(
    connection: Connection,
    batch: readonly Ready[],
    results: readonly SendResult[],
  ): Promise<boolean> {
    const { database, nodes, clock, chance } = this.parts;
    const now = clock.now();
    const { nodeId } = connection.challenge;
    const elsewhere = nodes.others(nodeId);
    const news = new News();
    const isStored = await database.change(async (change) => {
      const messages = new Map<string, OutgoingRow>();
      let all = true;
      for (const [at, { parcel: sent, envelope }] of batch.entries()) {
        const result = results[at];
        const parcel = await change.get("parcel", sent.seq);
        const outgoing = await change.get("outgoing", sent.outgoing);
        // Confirmed, or encrypted anew, while it was on its way.
        if (!result || !parcel || !outgoing) continue;
        if (outgoing.message !== null) {
          messages.set(`${outgoing.peer} ${outgoing.message}`, outgoing);
        }
        if (
          result.state === "stamp-required" &&
          this.parts.stamps.wants(nodeId, envelope, result)
        ) {
          // Stamped anew with what the mailbox wants, it goes out again at once.
          continue;
        }
        if (this.mustBeSealedAnew(connection, outgoing, envelope, result)) {
          await encryptAnew(change, outgoing);
          all = all && result.state === "removed";
          continue;
        }
        const isProved =
          result.state === "acked" && equal(await lockOf(result.secret), envelope.lock);
        const answer = { ...result, node: hex(nodeId), proved: isProved };
        const after = offered(parcel, answer, now, chance, elsewhere);
        change.put("parcel", after);
        all = all && after.state !== "waiting";
        if (after.state === "acked") await this.letGoOfRequest(change, news, outgoing);
      }
      for (const { peer, message } of messages.values()) {
        if (message === null) continue;
        await this.noteProgress(change, news, peer, message, connection.address.origin, now);
      }
      await summariseChanged(change, news);
      return all;
    });
    this.parts.publish(news);
    return isStored;
  }

  /**
   * A session request has done its work once every device has opened it: unlike what was said, it is
   * never asked for again.
   */
  private async letGoOfRequest(change: Change, news: News, outgoing: OutgoingRow): Promise<void> {
    const { seq, peer, device } = outgoing;
    const parcels = await parcelsOf(change, seq);
    if (!isSessionRequest(outgoing) || parcels.some((each) => each.state !== "acked")) return;
    await removeOutgoing(change, seq);
    // What could not be read is on its way again.
    if (device !== null) await removeUnreadable(change, news, peer, device);
  }

  private async noteProgress(
    change: Change,
    news: News,
    peer: Identity,
    message: MessageId,
    node: string,
    nowMs: number,
  ): Promise<void> {
    const contents = await parcelsOfMessage(change, peer, message);
    if (!contents.length) return;
    const { state, copies, of } = progressOf(contents);
    const refusal = contents.flat().find((parcel) => parcel.refusal)?.refusal ?? null;
    await setMessageState(change, news, message, state, nowMs, { copies, of, node, refusal });
  }

  private mustBeSealedAnew(
    connection: Connection,
    outgoing: OutgoingRow,
    envelope: Envelope,
    result: SendResult,
  ): boolean {
    if (result.state === "too-far-ahead") {
      return envelope.expiresHours > termsOf(connection).latestHours;
    }
    if (result.state !== "removed") return false;
    // Their device could not unseal it: it has other keys than we thought. Nothing proves that, so
    // it is taken from each node once for each content.
    const said = `${hex(connection.challenge.nodeId)} ${outgoing.seq}`;
    if (this.removedSaid.has(said)) return false;
    if (this.removedSaid.size >= MAX_REMOVED_SAID) this.removedSaid.clear();
    this.removedSaid.add(said);
    return true;
  }

  /** What nobody confirmed in time has failed. */
  async dropExpired(): Promise<void> {
    const { database, clock } = this.parts;
    const now = clock.now();
    const old = await overdue(database.reader, Math.floor(now / HOUR_MS));
    if (!old.length) return;
    const news = new News();
    await database.change(async (change) => {
      for (const outgoing of old) {
        await removeOutgoing(change, outgoing.seq);
        if (outgoing.message === null) continue;
        await setMessageState(change, news, outgoing.message, "failed", now, {});
        await dropRest(change, outgoing);
      }
      await summariseChanged(change, news);
    });
    this.parts.publish(news);
  }
}

/** The other parts of a text of which one expired. */
async function dropRest(change: Change, outgoing: OutgoingRow): Promise<void> {
  for (const other of await outgoingOf(change, outgoing.peer)) {
    if (other.message === outgoing.message) await removeOutgoing(change, other.seq);
  }
}

/** What the node's clock and limits mean for what is sealed for it. */
export function termsOf(connection: Connection): Terms {
  const { networkId, maxLifetimeHours } = connection.challenge;
  return { networkId, latestHours: latestHours(connection.nodeNow / 1000, maxLifetimeHours) };
}
