import type { Bytes } from "../../wire/bytes";
import {
  Challenge,
  CLIENT_MESSAGES,
  ClientDone,
  ClientPing,
  ClientPong,
  ClientRefused,
  encodeClientMessage,
  GetNetwork,
  NetworkInfo,
  splitClientMessage,
} from "../../wire/client";
import { LinkLost, type TaceError } from "../../wire/errors";
import type { Given, Shape } from "../../wire/fields";
import { type Arrived, type MessageKind, valuesOf } from "../../wire/message";
import { NodeAddress } from "../address";
import type { Clock } from "../clock";
import type { Carrier, OpenTransport, Transport, TransportListener } from "../transport";

export const NETWORK_ID = new Uint8Array(32).fill(0x4e);

/** How a node takes somebody who dials it by one carrier. */
export type Manner = "speaks" | "refuses" | "silent";

/** A node at an address. Everything it does is set by the test; nothing happens by itself. */
export class FakeNode {
  readonly address: NodeAddress;
  readonly nodeId: Bytes;
  networkId: Bytes = NETWORK_ID;
  manner: Record<Carrier, Manner> = { websocket: "speaks", polling: "speaks" };
  clockAheadMs = 0;
  versions = [1];
  stampBits = 18;
  requestsInFlight = 64;
  names: string[];
  /** Said instead of a challenge. */
  refusal: string | null = null;
  records: Bytes[] = [];
  /** Whether questions are answered. */
  answers = true;
  readonly links: FakeLink[] = [];

  constructor(
    origin: string,
    number: number,
    readonly clock: Clock,
  ) {
    this.address = NodeAddress.parse(origin);
    this.names = [this.address.origin];
    this.nodeId = new Uint8Array(32).fill(number);
  }

  /** The links that are up. */
  get up(): FakeLink[] {
    return this.links.filter((link) => !link.closed);
  }

  /** Ends every link, and answers nobody any more. */
  kill(): void {
    this.manner = { websocket: "refuses", polling: "refuses" };
    for (const link of this.up) link.break("the node is gone");
  }

  greet(link: FakeLink): void {
    if (this.refusal) {
      link.say(ClientRefused, { code: this.refusal, detail: "" }, 0);
      return;
    }
    link.say(Challenge, {
      challenge: new Uint8Array(32).fill(this.links.length),
      clockMs: this.clock.now() + this.clockAheadMs,
      networkId: this.networkId,
      nodeId: this.nodeId,
      names: this.names,
      versions: this.versions,
      software: "tace/1.0.0",
      requestsStampBits: this.stampBits,
      maxLifetimeHours: 720,
      requestsInFlight: this.requestsInFlight,
    });
  }

  answer(link: FakeLink, asked: Arrived, requestId: number): void {
    if (!this.answers) return;
    if (valuesOf(asked, ClientPing)) {
      link.say(ClientPong, { clockMs: this.clock.now() + this.clockAheadMs }, requestId);
    } else if (valuesOf(asked, GetNetwork)) {
      link.say(NetworkInfo, { records: this.records, members: 1, state: "member" }, requestId);
    } else {
      link.say(ClientDone, {}, requestId);
    }
  }
}

/** The node's end of one transport. */
export class FakeLink implements Transport {
  closed = false;
  readonly asked: { message: Arrived; requestId: number }[] = [];

  constructor(
    readonly node: FakeNode,
    readonly carrier: Carrier,
    private readonly listener: TransportListener,
  ) {}

  send(data: Uint8Array): void {
    if (this.closed) return;
    const { number, requestId, body } = splitClientMessage(data);
    const message = CLIENT_MESSAGES.decode(number, body);
    this.asked.push({ message, requestId });
    queueMicrotask(() => this.node.answer(this, message, requestId));
  }

  close(): void {
    this.closed = true;
  }

  /** The node says something. */
  say<S extends Shape>(kind: MessageKind<S>, values: Given<S>, requestId = 0): void {
    this.deliver(encodeClientMessage(kind, values, requestId));
  }

  deliver(data: Uint8Array): void {
    if (!this.closed) this.listener.onMessage(data);
  }

  break(why: string): void {
    this.end(new LinkLost(why));
  }

  end(reason: TaceError): void {
    if (this.closed) return;
    this.closed = true;
    this.listener.onClose(reason);
  }
}

/** Nodes by their origins; every dial is remembered. */
export class FakeNetwork {
  readonly nodes = new Map<string, FakeNode>();
  readonly dialled: { origin: string; carrier: Carrier; atMs: number }[] = [];

  constructor(private readonly clock: Clock) {}

  add(origin: string): FakeNode {
    const node = new FakeNode(origin, this.nodes.size + 1, this.clock);
    this.nodes.set(node.address.origin, node);
    return node;
  }

  /** Origins, each once, in the order in which they were first dialled. */
  get origins(): string[] {
    return [...new Set(this.dialled.map((dial) => dial.origin))];
  }

  opener(carrier: Carrier): OpenTransport {
    return (address, listener) => {
      this.dialled.push({ origin: address.origin, carrier, atMs: this.clock.now() });
      const node = this.nodes.get(address.origin) ?? new FakeNode(address.origin, 0, this.clock);
      const link = new FakeLink(node, carrier, listener);
      const manner = this.nodes.has(address.origin) ? node.manner[carrier] : "refuses";
      if (manner !== "refuses") node.links.push(link);
      queueMicrotask(() => {
        if (manner === "refuses") link.break(`${address}: connection refused`);
        else if (manner === "speaks") node.greet(link);
      });
      return link;
    };
  }
}
