/**
 * The engine of one identity while it runs: receives, confirms, sends and keeps trying. Everything
 * is put together here, and nowhere else.
 */

import { BadAddress, NodeAddress } from "../network/address";
import type { Connection } from "../network/connection";
import { NoNode, OtherNetwork } from "../network/errors";
import { KnownNodes } from "../network/known-nodes";
import { Nodes } from "../network/nodes";
import type { Database } from "../store/database";
import { meta, removeMeta, setMeta } from "../store/meta";
import { StoredNodes } from "../store/nodes";
import { makeStoredDue, makeWaitingDue } from "../store/outbox";
import { hex } from "../wire/bytes";
import { GetStatus } from "../wire/client";
import { TaceError } from "../wire/errors";
import { Addressing } from "./addressing";
import type { EngineEvent, Identity, MessageId, NodeView, RingView } from "./contract";
import { EngineError } from "./contract";
import { Directory } from "./directory";
import type { Connecting, Environment } from "./environment";
import { fetchFile, Uploads } from "./files";
import { Flushing } from "./flushing";
import { Following } from "./following";
import { Inbox } from "./inbox";
import { LOOKED_UP_FOR_MS } from "./lookups";
import { NewDevices } from "./new-devices";
import { Outbox } from "./outbox";
import type { Own } from "./own";
import { People } from "./people";
import { Publisher, ReplacedIdentity } from "./publish";
import { type Batch, Reading } from "./reading";
import { Receipts } from "./receipts";
import { ABSENT_MS } from "./repeats";
import { retain, tidy } from "./retention";
import { Showing } from "./showing";
import { Stamper } from "./stamping";
import type { Status } from "./status";
import { Talk } from "./talk";

/** How soon a device that was replaced notices while it does nothing. */
const OWN_CHECKED_EVERY_MS = 5 * 60_000;
const TIDY_EVERY_MS = 3_600_000;
/** Of the ring's 2^256 positions the first 48 bits are more than any picture shows. */
const POSITION_DIGITS = 12;

export interface RunningParts {
  environment: Environment;
  database: Database;
  own: Own;
  status: Status;
  tell: (event: EngineEvent) => void;
  /** That node collects for us now. */
  connected: (origin: string) => void;
  /** The identity was restored elsewhere. */
  replaced: () => void;
  /** It broke: the database is gone, or a fault of the program. */
  broke: (error: unknown) => void;
}

export class Running {
  readonly people: People;
  readonly talk: Talk;
  private readonly outbox: Outbox;
  private readonly receipts: Receipts;
  private readonly showing: Showing;
  private readonly following: Following;
  private readonly flushing: Flushing;
  private readonly stamper: Stamper;
  private readonly addressing: Addressing;
  private readonly newDevices: NewDevices;
  private cancelTidy: () => void = () => {};
  private cancelOwnCheck: () => void = () => {};
  private isStopped = false;
  private twoNodes = true;

  private constructor(
    private readonly parts: RunningParts,
    private readonly nodes: Nodes,
    private readonly known: KnownNodes,
    publisher: Publisher,
    private readonly connecting: Connecting,
    private chosen: string | null,
  ) {
    const { environment, database, own, status } = parts;
    const { clock, chance, random } = environment;
    const { points, dialler } = connecting;
    const { publish } = status;
    const directory = new Directory(database, points, publish);
    this.addressing = new Addressing(own, directory, points, random);
    const { addressing } = this;
    this.stamper = new Stamper(clock);
    const uploads = new Uploads(database, clock, this.stamper, publish);
    this.outbox = new Outbox({
      database,
      nodes,
      directory,
      addressing,
      publisher,
      uploads,
      stamper: this.stamper,
      clock,
      chance,
      publish,
    });
    const { outbox } = this;
    this.receipts = new Receipts({
      database,
      directory,
      addressing,
      outbox,
      clock,
      chance,
      random,
      failed: (error) => this.failed(error),
    });
    this.showing = new Showing(database, clock, publish);
    this.flushing = new Flushing({
      database,
      clock,
      chance,
      flush: () => outbox.flush(),
      failed: (error) => this.failed(error),
    });
    this.newDevices = new NewDevices({
      database,
      points,
      clock,
      chance,
      lookUp: (identity) => outbox.lookUp(identity, LOOKED_UP_FOR_MS),
      publish,
      checked: (identity, device) => this.showing.checked(identity, device),
      failed: (error) => this.failed(error),
    });
    const reading = new Reading({ database, own, addressing, points });
    const inbox = new Inbox({
      nodes,
      keys: own.mailboxes,
      reading,
      clock,
      events: {
        onBatch: (batch) => this.received(batch),
        onCaughtUp: () => this.quietly(this.showing.caughtUp()),
        onLost: (reason) => this.following.onLost(reason),
      },
    });
    this.following = new Following({
      inbox,
      outbox,
      showing: this.showing,
      status,
      clock,
      chance,
      webSocketAgain: (address, signal) => dialler.webSocketAgain(address, signal),
      firstOrigin: () => this.chosen ?? environment.here,
      usesTwoNodes: () => this.twoNodes,
      tell: parts.tell,
      connected: (connection) => {
        parts.connected(connection.address.origin);
        this.quietly(this.measure(connection));
        this.quietly(this.checkOwnRecords());
        this.flushing.retryNow();
        this.receipts.soon();
        this.newDevices.soon();
      },
      failed: (error) => this.failed(error),
    });
    const flushSoon = this.flushing.soon;
    const receiptsSoon = () => this.receipts.soon();
    const forgotten = (identity: Identity) => this.showing.forget(identity);
    const letIn = () => {
      this.receipts.soon();
      this.newDevices.soon();
    };
    const common = { database, clock, publish, flushSoon, letIn };
    this.people = new People({ ...common, own, forgotten });
    this.talk = new Talk({ ...common, addressing, random, receiptsSoon });
  }

  static async start(parts: RunningParts): Promise<Running> {
    const { environment, database, own } = parts;
    const { clock, chance, here } = environment;
    const connecting = await environment.connecting();
    const { points, dialler } = connecting;
    const store = new StoredNodes(database);
    const known = await KnownNodes.load(store, clock, here);
    const nodes = new Nodes({
      dial: dialler.dial,
      clock,
      random: chance,
      known,
      store,
      points,
      absentMs: ABSENT_MS,
      returned: () => database.change(makeStoredDue),
    });
    const chosen = (await meta(database.reader, "chosenNode")) ?? null;
    nodes.prefer(chosen);
    const publisher = await Publisher.open(database, own, points);
    const running = new Running(parts, nodes, known, publisher, connecting, chosen);
    await running.begin();
    return running;
  }

  async stop(): Promise<void> {
    if (this.isStopped) return;
    this.isStopped = true;
    this.cancelTidy();
    this.cancelOwnCheck();
    this.stamper.stop();
    const looking = this.newDevices.stop();
    this.outbox.close();
    await this.receipts.stop();
    await this.following.stop();
    await this.flushing.stop();
    await looking;
    await this.showing.stop();
  }

  setTwoNodes(twoNodes: boolean): void {
    if (twoNodes === this.twoNodes) return;
    this.twoNodes = twoNodes;
    this.outbox.reconnect();
  }

  // -- nodes --------------------------------------------------------------------------------------

  nodeViews(): NodeView[] {
    return this.known.views(this.following.origin, this.outbox.origin);
  }

  async ring(): Promise<RingView> {
    const { clock } = this.parts.environment;
    return await asCall(async () => {
      const info = await this.outbox.ask((connection) => connection.request(GetStatus, {}));
      const own = new Set(info.positions.map((position) => hex(position.id)));
      const all = new Set([
        ...own,
        ...info.positions.flatMap((position) => [
          ...position.successors.map(hex),
          ...(position.predecessor.length ? [hex(position.predecessor)] : []),
        ]),
      ]);
      const positions = [...all].map((node) => ({ at: fraction(node), node, own: own.has(node) }));
      const { members, state, items, bytes } = info;
      const askedMs = clock.now();
      return {
        members,
        state,
        items,
        bytes,
        positions: positions.sort((a, b) => a.at - b.at),
        askedMs,
      };
    });
  }

  async addNode(text: string): Promise<void> {
    await asCall(async () => {
      await this.nodes.add(text);
    });
  }

  async removeNode(origin: string): Promise<void> {
    await this.known.remove(origin);
    if (this.chosen === origin) await this.choose(null);
    if (this.following.origin === origin) this.following.move();
    if (this.outbox.origin === origin) this.outbox.reconnect();
  }

  async useNode(text: string): Promise<void> {
    await asCall(async () => {
      const address = NodeAddress.parse(text);
      // Whether it answers is to be known before the one in use is left.
      (await this.nodes.connectTo(address)).close();
      await this.choose(address.origin);
      if (this.following.origin !== address.origin) this.following.move();
    });
  }

  async connectNow(): Promise<void> {
    await this.parts.database.change((change) => makeWaitingDue(change));
    this.following.connectNow();
    this.flushing.retryNow();
  }

  online(isOnline: boolean): void {
    if (isOnline) {
      this.connecting.dialler.forgetBlocked();
      this.outbox.reconnect();
    }
    this.following.online(isOnline);
    if (!isOnline) return;
    this.flushing.retryNow();
    this.newDevices.soon();
  }

  async fetchFile(id: MessageId): Promise<void> {
    const { database, environment, status } = this.parts;
    const { clock } = environment;
    await asCall(() => fetchFile(database, this.outbox, id, clock, status.publish));
  }

  /** Old messages, where the retention was made shorter. */
  async retain(): Promise<void> {
    const { database, environment, status } = this.parts;
    await retain(database, environment.clock.now(), status.publish);
  }

  /** Tell contacts of this device, which they do not know: their next message comes soon then. */
  async greet(contacts: readonly Identity[]): Promise<void> {
    const { database, environment } = this.parts;
    const nowMs = environment.clock.now();
    await database.change(async (change) => {
      for (const identity of contacts) {
        await this.addressing.requestSession(change, identity, null, [], nowMs);
      }
    });
    this.flushing.soon();
  }

  // -- inside -------------------------------------------------------------------------------------

  private async begin(): Promise<void> {
    const { database } = this.parts;
    const settings = await meta(database.reader, "settings");
    this.twoNodes = settings?.twoNodes ?? true;
    // Whatever waits is tried again by every engine that starts.
    await database.change((change) => makeWaitingDue(change));
    await this.showing.look();
    await this.tidy();
    this.following.start();
    this.flushing.soon();
    this.receipts.soon();
    this.newDevices.soon();
  }

  private received(batch: Batch): void {
    this.parts.status.publish(batch.news);
    this.quietly(this.showing.arrived(batch.messages, batch.placed));
    if (batch.hasNewDevices) this.newDevices.soon();
    if (batch.owesReceipts) this.receipts.soon();
    if (batch.sendAgain) this.flushing.soon();
  }

  /** Now and then: somebody who moved elsewhere should not write in vain here for hours. */
  private async checkOwnRecords(): Promise<void> {
    this.cancelOwnCheck();
    try {
      await this.outbox.checkOwnRecords();
    } catch (error) {
      // Without a node it is checked with the next flush.
      if (error instanceof ReplacedIdentity || !(error instanceof TaceError)) throw error;
    }
    if (this.isStopped) return;
    this.cancelOwnCheck = this.parts.environment.clock.after(OWN_CHECKED_EVERY_MS, () =>
      this.quietly(this.checkOwnRecords()),
    );
  }

  /** How long that node takes to answer, for the list of nodes. */
  private async measure(connection: Connection): Promise<void> {
    try {
      await this.nodes.measure(connection);
    } catch (error) {
      // A connection that broke meanwhile says so itself.
      if (!(error instanceof TaceError)) throw error;
    }
  }

  private async choose(origin: string | null): Promise<void> {
    this.chosen = origin;
    this.nodes.prefer(origin);
    await this.parts.database.change(async (change) => {
      if (origin === null) removeMeta(change, "chosenNode");
      else setMeta(change, "chosenNode", origin);
    });
  }

  private async tidy(): Promise<void> {
    const { database, environment } = this.parts;
    await tidy(database, environment.clock.now());
    await this.retain();
    if (this.isStopped) return;
    this.cancelTidy = environment.clock.after(TIDY_EVERY_MS, () => this.quietly(this.tidy()));
  }

  /** In the background: what fails there stops the engine, loudly. */
  private quietly(work: Promise<void>): void {
    work.catch((error: unknown) => this.failed(error));
  }

  private failed(error: unknown): void {
    if (this.isStopped) return;
    if (error instanceof ReplacedIdentity) this.parts.replaced();
    else this.parts.broke(error);
  }
}

/** Failures of nodes as pages know them. */
async function asCall<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof BadAddress) throw new EngineError("bad-origin", error.message);
    if (error instanceof RangeError) throw new EngineError("too-many", error.message);
    if (error instanceof OtherNetwork) throw new EngineError("wrong-network", error.message);
    if (error instanceof NoNode) throw new EngineError("no-node", error.message);
    if (error instanceof TaceError) throw new EngineError("no-node", error.message);
    throw error;
  }
}

function fraction(position: string): number {
  return Number.parseInt(position.slice(0, POSITION_DIGITS), 16) / 16 ** POSITION_DIGITS;
}
