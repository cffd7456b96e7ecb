/** Collecting: lease both mailboxes at a node, watch them, read what is pushed, let go of it. */

import { SLOWEST_MS } from "../network/backoff";
import { type Clock, delay } from "../network/clock";
import type { Connection, ConnectionEvents } from "../network/connection";
import { openLeases } from "../network/leases";
import type { Nodes } from "../network/nodes";
import { type Bytes, equal, hex } from "../wire/bytes";
import { Ack, Defer, StartWatch } from "../wire/client";
import { LinkLost, Refusal, TaceError } from "../wire/errors";
import { MAX_REMOVED, type MailboxKey, signRemoval } from "../wire/mailbox-proof";
import { type Envelope, mailboxId, parseEnvelope } from "../wire/objects";
import type { Batch, Reading } from "./reading";

export const WINDOW = 64;
/** How many envelopes are saved in one transaction. */
const BATCH = 32;
/** A node that pushes more than this beyond what was let go of does not keep to the window. */
const MAX_QUEUED = 4 * WINDOW;

/** Who wants to know what comes in. */
export interface InboxEvents {
  /** A batch was saved; its acks are not on their way yet. */
  onBatch(batch: Batch): void;
  /** Everything that waited when the watch began has been read. */
  onCaughtUp(complete: boolean): void;
  /** The connection is gone. Called once for each `open` that succeeded. */
  onLost(reason: TaceError): void;
}

export interface InboxParts {
  nodes: Nodes;
  keys: readonly MailboxKey[];
  reading: Reading;
  clock: Clock;
  events: InboxEvents;
}

/** Both mailboxes of this device, at one node at a time. */
export class Inbox {
  private watch: Watch | null = null;

  constructor(private readonly parts: InboxParts) {}

  /**
   * Connect, and watch.
   *
   * @param signal gives it up.
   * @throws NoNode none could be reached.
   * @throws TaceError the node did not let us.
   */
  async open(signal: AbortSignal): Promise<Connection> {
    const { nodes } = this.parts;
    const connection = await nodes.connect(null, signal);
    await this.watchOn(connection);
    return connection;
  }

  /**
   * Watch on a connection that is there, and let go of the one before.
   *
   * @throws TaceError the node did not let us; the one before stays.
   */
  async watchOn(connection: Connection): Promise<void> {
    const watch = await Watch.over(connection, this.parts);
    try {
      await watch.start();
    } catch (error) {
      if (error instanceof TaceError) await this.parts.nodes.failed(connection.address, error);
      watch.close();
      throw error;
    }
    this.watch?.close();
    this.watch = watch;
  }

  /** Resolves when everything that was pushed is read and let go of. */
  async idle(): Promise<void> {
    await this.watch?.idle();
  }

  close(): void {
    this.watch?.close();
    this.watch = null;
  }
}

/** One inbox connection: from its leases to its end. */
class Watch implements ConnectionEvents {
  private readonly queue: Bytes[] = [];
  private readonly behind: Set<string>;
  private complete = true;
  private hasSaidCaughtUp = false;
  private reading: Promise<void> | null = null;
  private isStarted = false;

  private constructor(
    private readonly connection: Connection,
    private readonly parts: InboxParts,
    private readonly mailboxes: ReadonlyMap<string, { mailbox: Bytes; key: MailboxKey }>,
  ) {
    this.behind = new Set(mailboxes.keys());
  }

  static async over(connection: Connection, parts: InboxParts): Promise<Watch> {
    const mailboxes = new Map<string, { mailbox: Bytes; key: MailboxKey }>();
    for (const key of parts.keys) {
      const mailbox = await mailboxId(key.publicKey, key.kind);
      mailboxes.set(hex(mailbox), { mailbox, key });
    }
    return new Watch(connection, parts, mailboxes);
  }

  async start(): Promise<void> {
    const { connection } = this;
    connection.events = this;
    if (connection.lost) throw connection.lost;
    await openLeases(
      connection,
      [...this.mailboxes.values()].map(({ key }) => key),
      this.parts.clock,
    );
    const mailboxes = [...this.mailboxes.values()].map(({ mailbox }) => mailbox);
    await connection.request(StartWatch, { mailboxes, window: WINDOW });
    if (connection.lost) throw connection.lost;
    this.isStarted = true;
    this.tellCaughtUp();
  }

  async idle(): Promise<void> {
    while (this.reading) await this.reading;
  }

  /** End it without telling anybody. */
  close(): void {
    this.isStarted = false;
    this.connection.close();
  }

  // -- ConnectionEvents ---------------------------------------------------------------------------

  onPush(envelope: Bytes): void {
    if (this.queue.length >= MAX_QUEUED) {
      this.connection.close(new LinkLost("the node does not keep to the window"));
      return;
    }
    this.queue.push(envelope);
    this.reading ??= this.readAll();
  }

  onCaughtUp(mailbox: Bytes, complete: boolean): void {
    this.behind.delete(hex(mailbox));
    this.complete &&= complete;
    this.tellCaughtUp();
  }

  onLost(reason: TaceError): void {
    this.queue.length = 0;
    if (!this.isStarted) return;
    this.isStarted = false;
    this.parts.events.onLost(reason);
  }

  // -- inside -------------------------------------------------------------------------------------

  private async readAll(): Promise<void> {
    try {
      // What arrives in one turn of the event loop is saved together.
      await Promise.resolve();
      while (this.queue.length) {
        const batch = await this.read(this.queue.splice(0, BATCH));
        this.parts.events.onBatch(batch);
        await this.letGo(batch);
      }
    } catch (error) {
      // Not let go of: the next watch pushes it again, and it is known then.
      const reason = error instanceof TaceError ? error : new LinkLost(String(error));
      this.connection.close(reason);
    } finally {
      this.reading = null;
    }
    this.tellCaughtUp();
  }

  private async read(pushed: readonly Bytes[]): Promise<Batch> {
    const envelopes: Envelope[] = [];
    for (const encoded of pushed) {
      // A node that pushes what is no envelope, or another's, is broken: another one is better.
      const envelope = await parseEnvelope(encoded);
      if (!this.mailboxes.has(hex(envelope.mailbox))) {
        throw new LinkLost("the node pushed a message for somebody else");
      }
      envelopes.push(envelope);
    }
    const { networkId } = this.connection.challenge;
    return await this.parts.reading.read(envelopes, networkId, this.parts.clock.now());
  }

  private async letGo(batch: Batch): Promise<void> {
    const removals: Bytes[] = [];
    for (const { mailbox, key } of this.mailboxes.values()) {
      const junk = batch.junk.filter((envelope) => equal(envelope.mailbox, mailbox));
      // A batch is smaller than what one removal may name, so it is one for each mailbox.
      if (junk.length) removals.push(await signRemoval(key, junk.slice(0, MAX_REMOVED)));
    }
    const tombstones = batch.tombstones.map(({ mailbox, encoded }) => ({
      mailbox,
      tombstone: encoded,
    }));
    if (batch.deferred.length) {
      this.connection.tell(Defer, { ids: batch.deferred.map((envelope) => envelope.id) });
    }
    if (tombstones.length || removals.length) {
      await this.ack(tombstones, removals);
    }
  }

  /** A node that is busy says until when; it pushes no more than the window meanwhile. */
  private async ack(
    tombstones: readonly { mailbox: Bytes; tombstone: Bytes }[],
    removals: readonly Bytes[],
  ): Promise<void> {
    const { connection, parts } = this;
    const ending = new AbortController();
    const forget = connection.whenLost(() => ending.abort(new LinkLost("the connection is over")));
    try {
      for (;;) {
        try {
          await connection.request(Ack, { tombstones, removals });
          return;
        } catch (error) {
          if (!(error instanceof Refusal) || !error.retryAfterMs) throw error;
          await delay(parts.clock, Math.min(SLOWEST_MS, error.retryAfterMs), ending.signal);
        }
      }
    } finally {
      forget();
    }
  }

  private tellCaughtUp(): void {
    if (this.behind.size || !this.isStarted || this.queue.length || this.reading) return;
    // A watch catches up once.
    if (this.hasSaidCaughtUp) return;
    this.hasSaidCaughtUp = true;
    this.parts.events.onCaughtUp(this.complete);
  }
}
