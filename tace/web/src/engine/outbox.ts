/**
 * The outbox: offers what is in it to nodes until the recipient has confirmed it.
 *
 * Everything in it is on this disk before anything leaves. It is let go of when the recipient's
 * encrypted receipt comes; a node's proof that the recipient opened it makes it delivered, but the
 * content stays until the receipt or its expiry, in case it could not be read.
 */

import type { Clock } from "../network/clock";
import type { Connection } from "../network/connection";
import { NoNode } from "../network/errors";
import type { Nodes } from "../network/nodes";
import type { Change } from "../store/change";
import type { Database } from "../store/database";
import {
  dueParcels,
  encryptAnew,
  isAnyDue,
  makeWaitingDue,
  removeOutgoing,
  unaddressed,
} from "../store/outbox";
import type { OutgoingRow, ParcelRow } from "../store/rows";
import { Turns } from "../store/turns";
import { type Bytes, equal, hex } from "../wire/bytes";
import { MAX_ENVELOPES, Send, type SendResult } from "../wire/client";
import { Failure, ProtocolError, Refusal, type TaceError } from "../wire/errors";
import { type Envelope, parseEnvelope } from "../wire/objects";
import { type Addressing, NoRecord } from "./addressing";
import type { Identity } from "./contract";
import type { Directory } from "./directory";
import { Elsewhere } from "./elsewhere";
import type { Uploads } from "./files";
import { LOOKED_UP_FOR_MS, Lookups } from "./lookups";
import type { News } from "./news";
import type { Publisher } from "./publish";
import { type Ready, Results, termsOf } from "./results";
import { type Stamper, Stamps } from "./stamping";

const HOUR_MS = 3_600_000;
/** How many nodes may break under one flush before it is left for later. */
const NODES_TRIED = 3;
/** A batch leaves when its stamps have taken this long, so that the first do not wait for all. */
const STAMPING_MS = 500;
/** How many contents are encrypted in one transaction. */
const ADDRESSED_TOGETHER = 16;
/** A connection that sent nothing for so long is closed: who only receives needs just one. */
const IDLE_MS = 60_000;

export interface OutboxParts {
  database: Database;
  nodes: Nodes;
  directory: Directory;
  addressing: Addressing;
  publisher: Publisher;
  uploads: Uploads;
  stamper: Stamper;
  clock: Clock;
  /** Uniform in [0, 1). */
  chance: () => number;
  publish: (news: News) => void;
}

/** The one way to send. One flush at a time. */
export class Outbox {
  private readonly turns = new Turns();
  private readonly dialling = new Turns();
  private readonly stamps: Stamps;
  private readonly lookups: Lookups;
  private readonly results: Results;
  private connection: Connection | null = null;
  private avoided: Bytes | null = null;
  private usedMs = 0;
  private cancelIdle: (() => void) | null = null;
  private readonly ending = new AbortController();

  constructor(private readonly parts: OutboxParts) {
    this.stamps = new Stamps(parts.stamper);
    this.lookups = new Lookups(parts.database, parts.directory, parts.clock);
    this.results = new Results({ ...parts, stamps: this.stamps });
  }

  // -- what callers use ---------------------------------------------------------------------------

  /**
   * The outbox connection, opened when there is none, closed when it is not used.
   *
   * @throws NoNode none could be reached.
   */
  connected(): Promise<Connection> {
    return this.dialling.run(async () => {
      if (this.ending.signal.aborted) throw new NoNode("closed");
      if (!this.connection || this.connection.lost) {
        const opened = await this.parts.nodes.connect(this.avoided);
        if (this.ending.signal.aborted) {
          opened.close();
          throw new NoNode("closed");
        }
        this.connection = opened;
      }
      this.usedMs = this.parts.clock.now();
      this.cancelIdle ??= this.parts.clock.after(IDLE_MS, () => this.closeIfIdle());
      return this.connection;
    });
  }

  /**
   * Publish what is due, encrypt what is not, offer everything whose time has come.
   *
   * @throws NoNode no node could be reached, or several broke in the middle.
   * @throws ReplacedIdentity the identity was restored elsewhere.
   */
  flush(): Promise<void> {
    return this.turns.run(async () => {
      await this.results.dropExpired();
      if (await this.hasWork()) await this.withNode((connection) => this.flushAt(connection));
    });
  }

  /**
   * Make sure that somebody's records are known and not older than that.
   *
   * @throws NeverOnline they have published none.
   * @throws NoNode no node could be asked.
   */
  async lookUp(identity: Identity, maxAgeMs: number): Promise<void> {
    await this.withNode((connection) => this.lookups.lookUp(connection, identity, maxAgeMs));
  }

  /**
   * Make sure that this is still its identity's device.
   *
   * @throws ReplacedIdentity it is not.
   * @throws NoNode no node could be asked.
   */
  async checkOwnRecords(): Promise<void> {
    await this.withNode(async (connection) => {
      await this.parts.publisher.check(connection);
      await this.parts.nodes.learn(connection);
    });
  }

  /**
   * Hand envelopes to a node without keeping them: receipts.
   *
   * @throws NoNode no node took them.
   */
  async offer(envelopes: readonly Envelope[]): Promise<SendResult[]> {
    const results: SendResult[] = [];
    await this.withNode(async (connection) => {
      while (results.length < envelopes.length) {
        const batch = envelopes.slice(results.length, results.length + MAX_ENVELOPES);
        const stamped: Envelope[] = [];
        for (const envelope of batch) stamped.push(await this.stamps.stamped(connection, envelope));
        results.push(...(await this.send(connection, stamped)));
      }
    });
    return results;
  }

  /** Fires when it is closed: what waits for a node waits no longer. */
  get ended(): AbortSignal {
    return this.ending.signal;
  }

  /**
   * Do something at a node that is used to send; at another one when that breaks or refuses.
   *
   * @throws NoNode none could be reached, or would; its cause is what the last one said.
   */
  async ask<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    return await this.withNode(work);
  }

  /** That node holds our leases: it should not see whom we write to, if there is another. */
  avoid(nodeId: Bytes | null): void {
    this.avoided = nodeId;
    const { connection } = this;
    if (!connection || !nodeId || connection.lost) return;
    const isSame = equal(connection.challenge.nodeId, nodeId);
    if (isSame && this.parts.nodes.others(nodeId)) {
      connection.close();
      this.connection = null;
    }
  }

  /** The node that is used to send now. */
  get origin(): string | null {
    return this.connection && !this.connection.lost ? this.connection.address.origin : null;
  }

  close(): void {
    this.ending.abort(new NoNode("closed"));
    this.cancelIdle?.();
    this.cancelIdle = null;
    this.connection?.close();
    this.connection = null;
  }

  /** Connections are opened anew: the network has changed. */
  reconnect(): void {
    this.connection?.close();
    this.connection = null;
  }

  // -- one flush ----------------------------------------------------------------------------------

  private closeIfIdle(): void {
    this.cancelIdle = null;
    const left = this.usedMs + IDLE_MS - this.parts.clock.now();
    if (left > 0) {
      this.cancelIdle = this.parts.clock.after(left, () => this.closeIfIdle());
      return;
    }
    this.connection?.close();
    this.connection = null;
  }

  /** Is there anything to do at a node? */
  private async hasWork(): Promise<boolean> {
    const { database, publisher, uploads, clock } = this.parts;
    const now = clock.now();
    if (await isAnyDue(database.reader, now)) return true;
    if ((await unaddressed(database.reader)).length) return true;
    if (await uploads.due(now)) return true;
    if ((await this.lookups.outdated(now)).length) return true;
    return await publisher.due(now);
  }

  private async flushAt(asked: Connection): Promise<void> {
    const { nodes, publisher, uploads, clock } = this.parts;
    const now = clock.now();
    const isPublished = !(await publisher.due(now)) || (await this.tryPublish(asked, now));
    for (const identity of await this.lookups.outdated(now))
      await this.lookups.tryLookUp(asked, identity, 0);
    const pauseMs = await uploads.upload(asked, nodes.others(asked.challenge.nodeId));
    await this.addressAll(asked);
    const connection = await this.offerAll(asked);
    await nodes.learn(connection);
    if ((!isPublished || pauseMs !== null) && nodes.others(asked.challenge.nodeId)) {
      // What is to be sent was sent all the same, and the next flush asks another one.
      const why = isPublished ? "not-stored" : "not-published";
      await this.leave(asked, new Refusal(why), pauseMs ?? 0);
    }
  }

  /** False when the node will not. */
  private async tryPublish(connection: Connection, nowMs: number): Promise<boolean> {
    try {
      await this.parts.publisher.publish(connection, nowMs);
      return true;
    } catch (error) {
      if (error instanceof Refusal) return false;
      throw error;
    }
  }

  private async addressAll(connection: Connection): Promise<void> {
    const { database } = this.parts;
    const waiting = await unaddressed(database.reader);
    const people = [...new Set(waiting.map((each) => each.peer))];
    for (const peer of people) {
      if (waiting.some((each) => each.peer === peer && each.device === null)) {
        await this.lookups.tryLookUp(connection, peer, LOOKED_UP_FOR_MS);
      }
    }
    for (let at = 0; at < waiting.length; at += ADDRESSED_TOGETHER) {
      const left = await this.addressSome(connection, waiting.slice(at, at + ADDRESSED_TOGETHER));
      for (const outgoing of left) await this.addressAfterLookUp(connection, outgoing);
    }
    if (!people.length) return;
    await database.change(async (change) => {
      // With all that waits for them already, so that it comes in its order.
      for (const peer of people) await makeWaitingDue(change, peer);
    });
  }

  /** Encrypt in one transaction; what is left where too little is known of the recipient. */
  private async addressSome(
    connection: Connection,
    some: readonly OutgoingRow[],
  ): Promise<OutgoingRow[]> {
    return await this.parts.database.change(async (change) => {
      const left: OutgoingRow[] = [];
      for (const outgoing of some) {
        const attempt = change.branch();
        if (await this.address(attempt, connection, outgoing)) attempt.merge();
        else left.push(outgoing);
      }
      return left;
    });
  }

  private async address(
    change: Change,
    connection: Connection,
    outgoing: OutgoingRow,
  ): Promise<boolean> {
    const { addressing, clock } = this.parts;
    try {
      return await addressing.address(change, outgoing.seq, termsOf(connection), clock.now());
    } catch (error) {
      if (error instanceof NoRecord) return false;
      throw error;
    }
  }

  private async addressAfterLookUp(connection: Connection, outgoing: OutgoingRow): Promise<void> {
    const { database, clock } = this.parts;
    const person = await database.reader.get("person", outgoing.peer);
    const age = person ? clock.now() - person.lookedUpMs : -1;
    if (age < 0 || age >= LOOKED_UP_FOR_MS) {
      await this.lookups.tryLookUp(connection, outgoing.peer, 0);
      if (!(await this.addressSome(connection, [outgoing])).length) return;
    }
    if (outgoing.device !== null) {
      // A session was wanted with a device that nobody knows: a forged claim, or gone.
      await database.change((change) => removeOutgoing(change, outgoing.seq));
    }
  }

  /** Offer what is due; the connection that is in use afterwards. */
  private async offerAll(first: Connection): Promise<Connection> {
    const elsewhere = new Elsewhere(this.parts.nodes, this.ending.signal);
    try {
      let connection = await this.offerWaiting(first);
      while (await this.repeatSome(connection, elsewhere)) {
        // What no node has taken goes before what is only offered once more.
        connection = await this.offerWaiting(connection);
      }
      return connection;
    } finally {
      elsewhere.end();
    }
  }

  /** Offer what no majority has; the connection that is in use afterwards. */
  private async offerWaiting(first: Connection): Promise<Connection> {
    const { database, nodes, clock } = this.parts;
    let connection = first;
    for (;;) {
      const due = await dueParcels(database.reader, "waiting", clock.now(), MAX_ENVELOPES);
      if (!due.length) return connection;
      const started = clock.now();
      const batch = await this.ready(connection, due);
      if (!batch.length) continue;
      const results = await this.send(
        connection,
        batch.map(({ envelope }) => envelope),
      );
      const isStored = await this.results.apply(connection, batch, results);
      if (!isStored && nodes.others(connection.challenge.nodeId)) {
        // The next attempt, a quarter of a second from now, goes to another node.
        const pauseMs = Math.max(...results.map((result) => result.retryAfterMs));
        await this.leave(connection, new Refusal("not-stored"), pauseMs);
        connection = await this.connected();
      }
      if (clock.now() - started >= STAMPING_MS) {
        // What was written meanwhile does not wait for all the stamps that are to be made.
        await this.addressAll(connection);
      }
    }
  }

  /**
   * Offer some of what is stored and unconfirmed once more, each at another node than the one
   * before; where there is no other, at the one that is in use. False where nothing was due.
   */
  private async repeatSome(used: Connection, elsewhere: Elsewhere): Promise<boolean> {
    const { database, clock } = this.parts;
    const due = await dueParcels(database.reader, "stored", clock.now(), MAX_ENVELOPES);
    const [first] = due;
    if (!first) return false;
    const started = clock.now();
    const lent = await elsewhere.connected(first.asked ?? "", this.avoided);
    if (lent) {
      const node = hex(lent.challenge.nodeId);
      const some = due.filter((parcel) => parcel.asked !== node);
      await elsewhere.tried(lent, () => this.repeatAt(lent, some));
    } else await this.repeatAt(used, due);
    if (clock.now() - started >= STAMPING_MS) await this.addressAll(used);
    return true;
  }

  private async repeatAt(connection: Connection, due: readonly ParcelRow[]): Promise<void> {
    const batch = await this.ready(connection, due);
    if (!batch.length) return;
    const envelopes = batch.map(({ envelope }) => envelope);
    await this.results.apply(connection, batch, await this.send(connection, envelopes));
  }

  /** The first of what is due, with the stamps that the node wants. */
  private async ready(connection: Connection, due: readonly ParcelRow[]): Promise<Ready[]> {
    const { database, clock } = this.parts;
    const started = clock.now();
    const batch: Ready[] = [];
    for (const parcel of due) {
      const envelope = await parseEnvelope(parcel.envelope);
      if (envelope.expiresHours * HOUR_MS <= started) {
        // Sealed for a node that keeps nothing for as long as the message lives.
        await database.change(async (change) => {
          const outgoing = await change.get("outgoing", parcel.outgoing);
          if (outgoing) await encryptAnew(change, outgoing);
        });
        continue;
      }
      // What needs no work does not wait for it.
      if (batch[0] && parcel.stamped && !batch[0].parcel.stamped) break;
      const stamped = await this.stamps.stamped(connection, envelope);
      if (stamped !== envelope) {
        await database.change(async (change) => {
          const known = await change.get("parcel", parcel.seq);
          if (known) change.put("parcel", { ...known, envelope: stamped.encoded });
        });
      }
      batch.push({ parcel, envelope: stamped });
      if (clock.now() - started >= STAMPING_MS) break;
    }
    return batch;
  }

  // -- nodes --------------------------------------------------------------------------------------

  private async withNode<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    let last: TaceError | null = null;
    for (let tried = 0; tried < NODES_TRIED; tried += 1) {
      const connection = await this.connected();
      try {
        return await work(connection);
      } catch (error) {
        if (!(error instanceof Failure || error instanceof Refusal)) throw error;
        if (error instanceof NoNode) throw error;
        last = error;
        const pauseMs = error instanceof Refusal ? error.retryAfterMs : 0;
        await this.leave(connection, error, pauseMs);
        if (pauseMs && !this.parts.nodes.others(connection.challenge.nodeId)) {
          // There is nobody else to ask meanwhile.
          throw new NoNode(`the node said no (${error.message})`, error, pauseMs);
        }
      }
    }
    throw new NoNode(`no node could do it (${last?.message})`, last);
  }

  private async leave(connection: Connection, why: TaceError, pauseMs = 0): Promise<void> {
    await this.parts.nodes.failed(connection.address, why, pauseMs);
    connection.close();
    if (this.connection === connection) this.connection = null;
  }

  private async send(
    connection: Connection,
    envelopes: readonly Envelope[],
  ): Promise<readonly SendResult[]> {
    const encoded = envelopes.map((envelope) => envelope.encoded);
    const { results } = await connection.request(Send, { envelopes: encoded });
    this.usedMs = this.parts.clock.now();
    if (results.length !== envelopes.length) {
      throw new ProtocolError("the node answered for another number of messages");
    }
    return results;
  }
}
