/**
 * Which node a user talks to: the chosen one first, then the page's own, then those the user added,
 * then those met.
 *
 * A page says to its own node that it is open, and nobody else learns it: until the user added a
 * node, or the page's own one failed, no other is dialled. The one exception: what a node said is
 * stored and nobody has confirmed is offered to the others too, for its word may be wrong.
 */

import { type Bytes, equal, hex } from "../wire/bytes";
import { GetNetwork } from "../wire/client";
import type { Points } from "../wire/digest";
import { BadRecord, TaceError, TimedOut } from "../wire/errors";
import { parseNodeRecord } from "../wire/node-record";
import { BadAddress, NodeAddress } from "./address";
import { type Random, SLOWEST_MS } from "./backoff";
import type { Clock } from "./clock";
import type { Connection } from "./connection";
import type { Dial } from "./dialling";
import { ClockDiffers, NoNode, OtherNetwork } from "./errors";
import { addressOf, type KnownNode, type KnownNodes, type NodeStore } from "./known-nodes";
import { type Attempt, firstOf } from "./race";

/** How long one node may stay silent before the next is tried beside it. */
export const STAGGER_MS = 250;
/** How long the page's own node may stay silent before it counts as failed. */
export const OWN_SILENT_MS = 3_000;
export const RECENT_FAILURE_MS = 10_000;
export const LEARN_EVERY_MS = 10 * 60_000;
const MAX_TRIED = 16;

export interface NodesParts {
  readonly dial: Dial;
  readonly clock: Clock;
  /** The order of the met nodes, so that users spread over them. */
  readonly random: Random;
  readonly known: KnownNodes;
  readonly store: NodeStore;
  readonly points: Points;
  /** Told before a node is used where none had been met for `absentMs`. */
  readonly returned?: () => Promise<void>;
  readonly absentMs?: number;
}

/** Connects to one node of this identity's network. */
export class Nodes {
  readonly #parts: NodesParts;
  readonly #failedUntil = new Map<string, number>();
  #preferred: string | null = null;
  #learnedMs = Number.NEGATIVE_INFINITY;

  constructor(parts: NodesParts) {
    this.#parts = parts;
  }

  /** Tried before all others (one that is `here` or was added); null: none is. */
  prefer(origin: string | null): void {
    this.#preferred = origin;
  }

  /**
   * A connection on which the node has spoken. Rejects with
   * - NoNode: none answered; its cause is what the first one said;
   * - OtherNetwork, ClockDiffers: those that answered cannot be used.
   *
   * @param avoid the id of a node that is used already; taken only where there is no other.
   */
  async connect(avoid: Uint8Array | null = null, signal?: AbortSignal): Promise<Connection> {
    const trusted = this.#attempts((node) => node.source !== "met", avoid);
    const all = this.#attempts(() => true, avoid);
    // With nobody else allowed, the others wait until the page's own node has failed.
    const stages = this.#mayLeave()
      ? [this.#race(all)]
      : [this.#race(trusted), this.#race(this.#attempts((node) => node.source === "met", avoid))];
    const { clock } = this.#parts;
    try {
      return await firstOf(clock, stages, OWN_SILENT_MS, (late) => late.close(), signal);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (error instanceof OtherNetwork || error instanceof ClockDiffers) throw error;
      if (!(error instanceof TaceError)) throw error;
      throw new NoNode(`no node could be reached (${error.message})`, error);
    }
  }

  /**
   * Any other node that is known, named or met, in no order: for what that one said is stored. Whose
   * word it was may be gone with all that it had. null where none can be had.
   *
   * @param without the id of the node that is not taken, 64 hexadecimal digits.
   * @param avoid as for `connect`.
   */
  async connectElsewhere(
    without: string,
    avoid: Uint8Array | null,
    signal?: AbortSignal,
  ): Promise<Connection | null> {
    const others = this.#attempts((node) => node.nodeId !== without, avoid, true);
    if (!others.length) return null;
    try {
      const opened = await firstOf(
        this.#parts.clock,
        others,
        STAGGER_MS,
        (late) => late.close(),
        signal,
      );
      if (hex(opened.challenge.nodeId) !== without) return opened;
      // Reached by a name that nobody knew to be its own.
      opened.close();
      return null;
    } catch (error) {
      if (signal?.aborted || error instanceof TaceError) return null;
      throw error;
    }
  }

  /** One certain node; rejects with what it said, like `connect` otherwise. */
  async connectTo(address: NodeAddress, signal?: AbortSignal): Promise<Connection> {
    return this.#open(address, signal);
  }

  /**
   * The user names a node: it is remembered once it has answered.
   *
   * @throws BadAddress no address, or one that a page cannot reach.
   * @throws NoNode it does not answer.
   * @throws OtherNetwork
   */
  async add(text: string, signal?: AbortSignal): Promise<NodeAddress> {
    const address = NodeAddress.parse(text);
    const { known } = this.#parts;
    if (!address.reachableFrom(known.here)) {
      throw new BadAddress("a page can reach other nodes by https:// alone");
    }
    try {
      (await this.#open(address, signal)).close();
    } catch (error) {
      if (error instanceof OtherNetwork || !(error instanceof TaceError)) throw error;
      throw new NoNode(`${address} cannot be reached (${error.message})`, error);
    }
    await known.add(address.origin);
    return address;
  }

  /** Is any other node to be had that may be dialled now? */
  others(nodeId: Uint8Array): boolean {
    const open = this.#mayLeave();
    return this.#reachable().some(
      (node) => node.nodeId !== hex(nodeId) && (open || node.source !== "met"),
    );
  }

  /**
   * Remembers the nodes that this one knows, once in ten minutes; dials none of them.
   * Rejects when the node did not say.
   */
  async learn(connection: Connection): Promise<void> {
    const { clock, known, points } = this.#parts;
    if (clock.now() - this.#learnedMs < LEARN_EVERY_MS) return;
    const answer = await connection.request(GetNetwork, {});
    this.#learnedMs = clock.now();
    const met: { origin: string; nodeId: Bytes }[] = [];
    for (const encoded of answer.records) {
      try {
        const record = await parseNodeRecord(encoded, connection.challenge.networkId, points);
        if (record.expiresSeconds * 1000 <= connection.nodeNow) continue;
        for (const url of record.clientUrls) {
          const address = NodeAddress.parse(url);
          if (!address.reachableFrom(known.here)) continue;
          met.push({ origin: address.origin, nodeId: record.nodeId });
        }
      } catch (error) {
        // One bad record must not hide the others.
        if (!(error instanceof BadRecord || error instanceof BadAddress)) throw error;
      }
    }
    await known.met(met);
  }

  /** Pings, and remembers how long it took. Rejects like `Connection.ping`. */
  async measure(connection: Connection): Promise<void> {
    const askedMs = this.#parts.clock.now();
    await connection.ping();
    const { clock, known } = this.#parts;
    await known.measured(connection.address.origin, clock.now() - askedMs);
  }

  /**
   * This one broke just now: others go first for a while, and may be dialled.
   *
   * @param pauseMs how long it wants to be left alone; granted up to a minute.
   */
  async failed(address: NodeAddress, reason: TaceError, pauseMs = 0): Promise<void> {
    const { clock, known } = this.#parts;
    const now = clock.now();
    for (const [origin, until] of this.#failedUntil) {
      if (until <= now) this.#failedUntil.delete(origin);
    }
    const pause = Math.max(RECENT_FAILURE_MS, Math.min(SLOWEST_MS, pauseMs));
    this.#failedUntil.set(address.origin, now + pause);
    await known.failed(address.origin, reason.message);
  }

  // -- the order ----------------------------------------------------------------------------------

  #mayLeave(): boolean {
    const { known } = this.#parts;
    return this.#failedLately(known.here) || known.all().some((node) => node.source === "added");
  }

  #failedLately(origin: string): boolean {
    return (this.#failedUntil.get(origin) ?? 0) > this.#parts.clock.now();
  }

  #reachable(): KnownNode[] {
    const { known } = this.#parts;
    return known.all().filter((node) => addressOf(node).reachableFrom(known.here));
  }

  /** @param mixed in no order, instead of those first that are trusted most. */
  #attempts(
    wanted: (node: KnownNode) => boolean,
    avoid: Uint8Array | null,
    mixed = false,
  ): Attempt<Connection>[] {
    const nodes = this.#reachable().filter(wanted);
    const avoided = avoid && hex(avoid);
    const seen = new Set<string>();
    const first = nodes
      .map((node) => ({
        node,
        rank: mixed ? 0 : this.#rank(node),
        tie: mixed || node.source === "met" ? this.#parts.random() : 0,
      }))
      .sort((a, b) => a.rank - b.rank || a.tie - b.tie);
    return first
      .map(({ node }, index) => {
        const again = node.nodeId !== null && seen.has(node.nodeId);
        if (node.nodeId !== null) seen.add(node.nodeId);
        const last =
          (node.nodeId !== null && node.nodeId === avoided ? 4 : 0) +
          (this.#failedLately(node.origin) ? 2 : 0) +
          // Many nodes go by several names; a second name is not a second node.
          (again ? 1 : 0);
        return { node, last, index };
      })
      .sort((a, b) => a.last - b.last || a.index - b.index)
      .slice(0, MAX_TRIED)
      .map(
        ({ node }) =>
          (signal: AbortSignal) =>
            this.#open(addressOf(node), signal),
      );
  }

  #rank(node: KnownNode): number {
    if (node.origin === this.#preferred) return 0;
    return { here: 1, added: 2, met: 3 }[node.source];
  }

  #race(attempts: readonly Attempt<Connection>[]): Attempt<Connection> {
    return (signal) => {
      if (attempts.length === 0) return Promise.reject(new TimedOut("no other node is known"));
      const tooLate = (late: Connection) => late.close();
      return firstOf(this.#parts.clock, attempts, STAGGER_MS, tooLate, signal);
    };
  }

  async #open(address: NodeAddress, signal?: AbortSignal): Promise<Connection> {
    let connection: Connection;
    try {
      connection = await this.#parts.dial(address, signal);
    } catch (error) {
      // An aborted attempt says nothing of the node: another one was faster.
      if (!signal?.aborted && error instanceof TaceError) await this.failed(address, error);
      throw error;
    }
    const { known, store } = this.#parts;
    const { networkId, nodeId, software } = connection.challenge;
    const pinned = await store.networkId();
    if (pinned === null) {
      await store.pinNetwork(networkId);
    } else if (!equal(pinned, networkId)) {
      connection.close();
      const reason = new OtherNetwork(`${address} belongs to another network`);
      await this.failed(address, reason);
      throw reason;
    }
    this.#failedUntil.delete(address.origin);
    await this.#lookBack();
    if (known.get(address.origin)) await known.reached(address.origin, nodeId, software);
    return connection;
  }

  /** Before it is noted that a node was met: when was the last one? */
  async #lookBack(): Promise<void> {
    const { known, clock, absentMs = Number.POSITIVE_INFINITY, returned } = this.#parts;
    const last = Math.max(...known.all().map((node) => node.lastSeenMs ?? 0));
    if (returned && last > 0 && clock.now() - last >= absentMs) await returned();
  }
}
