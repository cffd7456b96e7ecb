/**
 * A network of nodes in memory that speaks the client protocol (docs/protocol/client.md): records,
 * mailboxes, blobs; what one node takes all of them have. Faults are ordered by the test.
 */

import type { NodeAddress } from "../../network/address";
import type { Clock } from "../../network/clock";
import type { OpenTransport, Transport, TransportListener } from "../../network/transport";
import { type Bytes, concat, equal, hex } from "../../wire/bytes";
import {
  Ack,
  AckAnswer,
  BlobFound,
  BlobStored,
  CaughtUp,
  Challenge,
  ClientDone,
  ClientPing,
  ClientPong,
  ClientRecord,
  ClientRefused,
  Defer,
  encodeClientMessage,
  FindRecord,
  GetBlob,
  GetNetwork,
  GetStatus,
  NetworkInfo,
  OpenLease,
  PublishRecord,
  Push,
  PutBlob,
  RecordPublished,
  Send,
  SendAnswer,
  type SendResult,
  StartWatch,
  StatusInfo,
  splitClientMessage,
} from "../../wire/client";
import { type Points, sha256 } from "../../wire/digest";
import { LinkLost } from "../../wire/errors";
import type { Given, Shape } from "../../wire/fields";
import { leaseIsSigned, parseRemoval } from "../../wire/mailbox-proof";
import type { MessageKind } from "../../wire/message";
import { decodeBody } from "../../wire/message";
import {
  type Envelope,
  KIND_REQUESTS,
  mailboxId,
  parseEnvelope,
  parseTombstone,
  stampBits,
  stampedFor,
} from "../../wire/objects";
import {
  compareUserRecords,
  parseUserRecord,
  type UserRecord,
  userRecordKey,
} from "../../wire/user-record";

/** What every node of it holds. */
export class FakeNetwork {
  readonly nodes = new Map<string, FakeNode>();
  readonly mailboxes = new Map<string, Map<string, Envelope>>();
  readonly acked = new Map<string, Bytes>();
  readonly removed = new Set<string>();
  readonly records = new Map<string, UserRecord>();
  readonly blobs = new Map<string, Bytes>();
  /** Everything that was ever offered, in order. */
  readonly offered: string[] = [];
  /** The same: which envelope, at the node of which origin, when. */
  readonly offers: { id: string; origin: string; atMs: number }[] = [];
  stampBits = 4;
  /** How often a record was asked for. */
  recordsAsked = 0;

  constructor(
    readonly clock: Clock,
    readonly points: Points,
    readonly networkId: Bytes = new Uint8Array(32).fill(7),
  ) {}

  add(origin: string): FakeNode {
    const node = new FakeNode(this, origin, this.nodes.size + 1);
    this.nodes.set(origin, node);
    return node;
  }

  readonly open: OpenTransport = (address, listener) => {
    const node = this.nodes.get(address.origin);
    if (node && !node.isDown) return new FakeLink(node, listener);
    queueMicrotask(() => listener.onClose(new LinkLost("refused")));
    return { carrier: "websocket", send() {}, close() {} };
  };

  /** How many envelopes wait in all mailboxes. */
  get waiting(): number {
    return [...this.mailboxes.values()].reduce((sum, mailbox) => sum + mailbox.size, 0);
  }

  put(envelope: Envelope): void {
    const key = hex(envelope.mailbox);
    const mailbox = this.mailboxes.get(key) ?? new Map<string, Envelope>();
    this.mailboxes.set(key, mailbox);
    if (mailbox.has(hex(envelope.id))) return;
    mailbox.set(hex(envelope.id), envelope);
    for (const node of this.nodes.values()) node.arrived(envelope);
  }
}

/** What goes wrong at a node; each number counts down. */
export interface Faults {
  /** Envelopes are stored, and the connection breaks before the answer. */
  loseSendAnswers: number;
  /** Envelopes are neither stored nor answered for: the connection breaks. */
  loseSends: number;
  /** Envelopes are acked by the client, and the connection breaks before they are let go of. */
  loseAcks: number;
  /** A push does not come. */
  losePushes: number;
  /** Every push comes twice. */
  doublePushes: boolean;
  /** What waits is pushed in the opposite order. */
  reversePushes: boolean;
  /** Envelopes are said to be stored, and are not. */
  lies: boolean;
  /** The word that answers every envelope; null: it is stored. */
  refuse: string | null;
  /** When a blob that was refused so may be offered again; 0: it does not say. */
  retryAfterMs: number;
  /** A search for a blob is refused: it is to be asked for again in two seconds. */
  refuseBlobs: number;
  /** The same for records. */
  refuseRecords: number;
  /** The same for acks. */
  refuseAcks: number;
  /** The same for all envelopes of a request. */
  refuseSends: number;
}

export class FakeNode {
  isDown = false;
  readonly links = new Set<FakeLink>();
  readonly nodeId: Bytes;
  readonly faults: Faults = {
    loseSendAnswers: 0,
    loseSends: 0,
    loseAcks: 0,
    losePushes: 0,
    doublePushes: false,
    reversePushes: false,
    lies: false,
    refuse: null,
    retryAfterMs: 0,
    refuseBlobs: 0,
    refuseRecords: 0,
    refuseAcks: 0,
    refuseSends: 0,
  };

  constructor(
    readonly network: FakeNetwork,
    readonly origin: string,
    number: number,
  ) {
    this.nodeId = new Uint8Array(32).fill(number);
  }

  /** Gone, with all its connections. */
  kill(): void {
    this.isDown = true;
    this.cut();
  }

  revive(): void {
    this.isDown = false;
  }

  /** Every connection breaks; new ones are taken. */
  cut(): void {
    for (const link of [...this.links]) link.break();
  }

  arrived(envelope: Envelope): void {
    for (const link of this.links) link.arrived(envelope);
  }
}

class FakeLink implements Transport {
  readonly carrier = "websocket";
  private readonly leased = new Set<string>();
  private watched: string[] = [];
  private readonly deferred = new Set<string>();
  private readonly challenge: Bytes;
  private isOver = false;
  private handling: Promise<void> = Promise.resolve();

  constructor(
    private readonly node: FakeNode,
    private readonly listener: TransportListener,
  ) {
    node.links.add(this);
    const { network, origin, nodeId } = node;
    this.challenge = crypto.getRandomValues(new Uint8Array(32));
    const { challenge } = this;
    queueMicrotask(() =>
      this.tell(Challenge, 0, {
        challenge,
        clockMs: network.clock.now(),
        networkId: network.networkId,
        nodeId,
        names: [origin],
        versions: [1],
        software: "fake",
        requestsStampBits: network.stampBits,
        maxLifetimeHours: 720,
        requestsInFlight: 64,
      }),
    );
  }

  send(data: Uint8Array): void {
    const copy = new Uint8Array(data);
    // One after the other, as a node reads them.
    this.handling = this.handling.then(() => this.handle(copy));
  }

  close(): void {
    this.isOver = true;
    this.node.links.delete(this);
  }

  break(): void {
    if (this.isOver) return;
    this.close();
    this.listener.onClose(new LinkLost("broken"));
  }

  arrived(envelope: Envelope): void {
    if (this.watched.includes(hex(envelope.mailbox))) this.push(envelope);
  }

  private push(envelope: Envelope): void {
    const { faults } = this.node;
    if (this.deferred.has(hex(envelope.id))) return;
    if (faults.losePushes > 0) {
      faults.losePushes -= 1;
      return;
    }
    this.tell(Push, 0, { envelope: envelope.encoded });
    if (faults.doublePushes) this.tell(Push, 0, { envelope: envelope.encoded });
  }

  private tell<S extends Shape>(kind: MessageKind<S>, id: number, values: Given<S>): void {
    const data = encodeClientMessage(kind, values, id);
    queueMicrotask(() => {
      if (!this.isOver) this.listener.onMessage(data);
    });
  }

  private async handle(data: Uint8Array): Promise<void> {
    if (this.isOver) return;
    const { number, requestId, body } = splitClientMessage(data);
    const read = <S extends Shape>(kind: MessageKind<S>) =>
      decodeBody(kind.name, kind.fields, body);
    const { network, faults, nodeId } = this.node;
    switch (number) {
      case ClientPing.number:
        this.tell(ClientPong, requestId, { clockMs: network.clock.now() });
        return;
      case OpenLease.number: {
        const { lease } = read(OpenLease);
        const kind = lease.kind as 1 | 2;
        const isGood =
          equal(lease.challenge, this.challenge) &&
          lease.origin === this.node.origin &&
          (await leaseIsSigned({ ...lease, kind }, network.networkId, nodeId, network.points));
        if (!isGood) {
          this.tell(ClientRefused, requestId, { code: "unauthorized" });
          return;
        }
        this.leased.add(hex(await mailboxId(lease.mailboxKey, kind)));
        this.tell(ClientDone, requestId, {});
        return;
      }
      case StartWatch.number:
        this.startWatch(read(StartWatch).mailboxes.map(hex), requestId);
        return;
      case Ack.number:
        if (this.isTooFast("refuseAcks", requestId)) return;
        await this.ack(read(Ack), requestId);
        return;
      case Defer.number:
        for (const id of read(Defer).ids) this.deferred.add(hex(id));
        return;
      case Send.number: {
        if (this.isTooFast("refuseSends", requestId)) return;
        if (faults.loseSends > 0) {
          faults.loseSends -= 1;
          this.break();
          return;
        }
        const results: SendResult[] = [];
        for (const encoded of read(Send).envelopes) results.push(await this.store(encoded));
        if (faults.loseSendAnswers > 0) {
          faults.loseSendAnswers -= 1;
          this.break();
          return;
        }
        this.tell(SendAnswer, requestId, { results });
        return;
      }
      case PutBlob.number: {
        const { blob, stampTarget, stampNonce } = read(PutBlob);
        const hash = await sha256(blob);
        const bits = await stampBits(hash, stampTarget, BigInt(stampNonce));
        if (bits < Math.max(stampTarget, network.stampBits)) {
          const detail = String(network.stampBits);
          this.tell(ClientRefused, requestId, { code: "stamp-required", detail });
          return;
        }
        if (faults.refuse !== null) {
          const { refuse, retryAfterMs } = faults;
          this.tell(ClientRefused, requestId, { code: refuse, retryAfterMs });
          return;
        }
        network.blobs.set(hex(hash), blob);
        this.tell(BlobStored, requestId, { state: "stored", copies: 3, of: 4 });
        return;
      }
      case GetBlob.number: {
        if (this.isTooFast("refuseBlobs", requestId)) return;
        const blob = network.blobs.get(hex(read(GetBlob).hash)) ?? new Uint8Array();
        this.tell(BlobFound, requestId, { blob });
        return;
      }
      case FindRecord.number: {
        network.recordsAsked += 1;
        if (this.isTooFast("refuseRecords", requestId)) return;
        const found = network.records.get(hex(read(FindRecord).key));
        this.tell(ClientRecord, requestId, { record: found?.encoded ?? new Uint8Array() });
        return;
      }
      case PublishRecord.number:
        await this.publish(read(PublishRecord).record, requestId);
        return;
      case GetNetwork.number:
        this.tell(NetworkInfo, requestId, { records: [], members: 5, state: "member" });
        return;
      case GetStatus.number:
        this.tell(StatusInfo, requestId, {
          nodeId,
          networkId: network.networkId,
          version: "fake",
          positions: [
            {
              id: new Uint8Array(32).fill(64),
              predecessor: new Uint8Array(32),
              successors: [new Uint8Array(32).fill(128), new Uint8Array(32).fill(192)],
            },
          ],
          members: 5,
          items: 10,
          bytes: 1000,
          state: "member",
        });
        return;
      default:
        this.tell(ClientRefused, requestId, { code: "unknown-message" });
    }
  }

  private isTooFast(
    fault: "refuseBlobs" | "refuseRecords" | "refuseAcks" | "refuseSends",
    requestId: number,
  ): boolean {
    const { faults } = this.node;
    if (faults[fault] <= 0) return false;
    faults[fault] -= 1;
    this.tell(ClientRefused, requestId, { code: "rate-limited", retryAfterMs: 2_000 });
    return true;
  }

  private startWatch(mailboxes: string[], requestId: number): void {
    const { network, faults } = this.node;
    if (!mailboxes.every((mailbox) => this.leased.has(mailbox))) {
      this.tell(ClientRefused, requestId, { code: "unauthorized" });
      return;
    }
    this.watched = mailboxes;
    this.tell(ClientDone, requestId, {});
    for (const mailbox of mailboxes) {
      const waiting = [...(network.mailboxes.get(mailbox)?.values() ?? [])];
      if (faults.reversePushes) waiting.reverse();
      for (const envelope of waiting) this.push(envelope);
      this.tell(CaughtUp, 0, { mailbox: bytesOf(mailbox) });
    }
  }

  private async ack(
    values: {
      readonly tombstones: readonly { readonly mailbox: Bytes; readonly tombstone: Bytes }[];
      readonly removals: readonly Bytes[];
    },
    requestId: number,
  ): Promise<void> {
    const { network, faults } = this.node;
    if (faults.loseAcks > 0) {
      faults.loseAcks -= 1;
      this.break();
      return;
    }
    const results = [];
    for (const { mailbox, tombstone } of values.tombstones) {
      const { id, secret } = await parseTombstone(mailbox, tombstone);
      network.acked.set(hex(id), secret);
      network.mailboxes.get(hex(mailbox))?.delete(hex(id));
      results.push({ code: "stored" });
    }
    for (const encoded of values.removals) {
      const removal = await parseRemoval(encoded, network.points);
      const mailbox = hex(await mailboxId(removal.mailboxKey, removal.kind));
      for (const { id } of removal.items) {
        network.removed.add(hex(id));
        network.mailboxes.get(mailbox)?.delete(hex(id));
      }
      results.push({ code: "stored" });
    }
    const secret = new Uint8Array();
    this.tell(AckAnswer, requestId, { results: results.map((each) => ({ ...each, secret })) });
  }

  private async store(encoded: Bytes): Promise<SendResult> {
    const { network, faults } = this.node;
    const envelope = await parseEnvelope(encoded);
    const id = hex(envelope.id);
    network.offered.push(id);
    network.offers.push({ id, origin: this.node.origin, atMs: network.clock.now() });
    const nothing = { copies: 0, of: 0, secret: new Uint8Array(), retryAfterMs: 0, detail: "" };
    const secret = network.acked.get(id);
    if (secret) return { ...nothing, state: "acked", secret };
    if (network.removed.has(id)) return { ...nothing, state: "removed" };
    if (faults.refuse !== null) return { ...nothing, state: faults.refuse };
    if (envelope.kind === KIND_REQUESTS && !(await stampedFor(envelope, network.stampBits))) {
      return { ...nothing, state: "stamp-required", detail: `bits ${network.stampBits}` };
    }
    if (!faults.lies) network.put(envelope);
    return { ...nothing, state: "stored", copies: 3, of: 4 };
  }

  private async publish(encoded: Bytes, requestId: number): Promise<void> {
    const { network } = this.node;
    const record = await parseUserRecord(encoded, network.points);
    const key = hex(await userRecordKey(record.kind, record.identity, record.device));
    const known = network.records.get(key);
    if (known && compareUserRecords(record, known) < 0) {
      this.tell(ClientRefused, requestId, { code: "stale-sequence" });
      return;
    }
    network.records.set(key, record);
    this.tell(RecordPublished, requestId, { state: "stored", copies: 3, of: 4 });
  }
}

function bytesOf(text: string): Bytes {
  return concat(Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)));
}

/** For tests that dial without a Dialler. */
export type { NodeAddress };
