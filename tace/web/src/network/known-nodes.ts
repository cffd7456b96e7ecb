/** The book of nodes: what is known of each, and what outlives a reload. */

import type { NodeView } from "../engine/contract";
import { type Bytes, hex } from "../wire/bytes";
import { NodeAddress } from "./address";
import type { Clock } from "./clock";
import { smoothed } from "./connection";

/** here: served this page. added: by the user. met: learned from the network. */
export type NodeSource = "here" | "added" | "met";

/** What is remembered of a node; plain values. */
export interface KnownNode {
  readonly origin: string;
  /** 64 hexadecimal digits; null before it was first reached. */
  readonly nodeId: string | null;
  readonly source: NodeSource;
  readonly software: string;
  readonly roundTripMs: number | null;
  readonly lastSeenMs: number | null;
  /** One line, and when; null when it was reached since. */
  readonly lastFailure: string | null;
  readonly lastFailureMs: number | null;
}

/** Where the book is kept. */
export interface NodeStore {
  nodes(): Promise<readonly KnownNode[]>;
  /** Puts in or replaces, by origin, and takes out, at once. */
  changeNodes(put: readonly KnownNode[], remove: readonly string[]): Promise<void>;
  /** The network that this identity belongs to; null before the first node. */
  networkId(): Promise<Bytes | null>;
  pinNetwork(networkId: Bytes): Promise<void>;
}

/** How many met nodes are remembered. */
export const MAX_MET = 256;
/** How many a user may add. */
export const MAX_ADDED = 32;
const SLOW_MS = 1_500;

/** The book in memory; every change is on the disk when its promise resolves. */
export class KnownNodes {
  readonly #nodes = new Map<string, KnownNode>();

  private constructor(
    private readonly store: NodeStore,
    private readonly clock: Clock,
    /** The origin of the page's own node. */
    readonly here: string,
  ) {}

  static async load(store: NodeStore, clock: Clock, here: string): Promise<KnownNodes> {
    const known = new KnownNodes(store, clock, here);
    for (const node of await store.nodes()) {
      // In an imported book "here" is where the other page came from.
      const source = node.source === "here" ? "met" : node.source;
      known.#nodes.set(node.origin, { ...node, source });
    }
    known.#nodes.set(here, { ...known.#known(here, "here"), source: "here" });
    return known;
  }

  get(origin: string): KnownNode | undefined {
    return this.#nodes.get(origin);
  }

  all(): readonly KnownNode[] {
    return [...this.#nodes.values()];
  }

  /** A node answered at that origin. */
  async reached(origin: string, nodeId: Bytes, software: string): Promise<void> {
    await this.#put({
      ...this.#known(origin, "met"),
      nodeId: hex(nodeId),
      software,
      lastSeenMs: this.clock.now(),
      lastFailure: null,
      lastFailureMs: null,
    });
  }

  /** Nothing is remembered of a failure at an origin that is not in the book. */
  async failed(origin: string, why: string): Promise<void> {
    const node = this.#nodes.get(origin);
    if (!node) return;
    await this.#put({ ...node, lastFailure: why.slice(0, 200), lastFailureMs: this.clock.now() });
  }

  async measured(origin: string, roundTripMs: number): Promise<void> {
    const node = this.#nodes.get(origin);
    if (!node) return;
    const average = smoothed(node.roundTripMs, roundTripMs);
    await this.#put({ ...node, roundTripMs: average, lastSeenMs: this.clock.now() });
  }

  /** The user named it. @throws RangeError more than 32. */
  async add(origin: string): Promise<void> {
    const node = this.#known(origin, "added");
    if (node.source === "here") return;
    if (node.source === "added" && this.#nodes.has(origin)) return;
    if (this.all().filter((each) => each.source === "added").length >= MAX_ADDED) {
      throw new RangeError(`at most ${MAX_ADDED} nodes can be added`);
    }
    await this.#put({ ...node, source: "added" });
  }

  /** The page's own node stays. */
  async remove(origin: string): Promise<void> {
    if (origin === this.here || !this.#nodes.delete(origin)) return;
    await this.store.changeNodes([], [origin]);
  }

  /** Nodes that others vouch for: each has signed its own record. */
  async met(nodes: readonly { origin: string; nodeId: Bytes }[]): Promise<void> {
    const put = nodes.map(({ origin, nodeId }) => {
      // The same name for another node: what was known of it is of no use.
      const before = this.#known(origin, "met");
      const same = before.nodeId === null || before.nodeId === hex(nodeId);
      const fresh = { ...unknown(origin, before.source), nodeId: hex(nodeId) };
      return same ? { ...before, nodeId: hex(nodeId) } : fresh;
    });
    for (const node of put) this.#nodes.set(node.origin, node);
    const surplus = this.all()
      .filter((node) => node.source === "met")
      .sort((a, b) => (b.lastSeenMs ?? 0) - (a.lastSeenMs ?? 0))
      .slice(MAX_MET)
      .map((node) => node.origin);
    for (const origin of surplus) this.#nodes.delete(origin);
    await this.store.changeNodes(
      put.filter((node) => this.#nodes.has(node.origin)),
      surplus,
    );
  }

  /** What the interface shows: the page's own node first, then the added, then the met. */
  views(inbox: string | null, outbox: string | null): NodeView[] {
    const order: Record<NodeSource, number> = { here: 0, added: 1, met: 2 };
    return this.all()
      .map((node) => ({
        origin: node.origin,
        nodeId: node.nodeId,
        source: node.source,
        inbox: node.origin === inbox,
        outbox: node.origin === outbox,
        health: healthOf(node),
        roundTripMs: node.roundTripMs,
        lastSeenMs: node.lastSeenMs,
        lastFailure: node.lastFailure,
        software: node.software,
      }))
      .sort((a, b) => order[a.source] - order[b.source]);
  }

  #known(origin: string, source: NodeSource): KnownNode {
    return this.#nodes.get(origin) ?? unknown(origin, source);
  }

  async #put(node: KnownNode): Promise<void> {
    this.#nodes.set(node.origin, node);
    await this.store.changeNodes([node], []);
  }
}

function unknown(origin: string, source: NodeSource): KnownNode {
  return {
    origin,
    nodeId: null,
    source,
    software: "",
    roundTripMs: null,
    lastSeenMs: null,
    lastFailure: null,
    lastFailureMs: null,
  };
}

export function healthOf(node: KnownNode): NodeView["health"] {
  if (node.lastFailure !== null) return "failing";
  if (node.lastSeenMs === null) return "unknown";
  return node.roundTripMs !== null && node.roundTripMs > SLOW_MS ? "slow" : "good";
}

/** @throws BadAddress */
export function addressOf(node: KnownNode): NodeAddress {
  return NodeAddress.parse(node.origin);
}
