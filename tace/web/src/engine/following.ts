/**
 * Receiving as long as the engine runs: connects, watches, and when the connection ends connects
 * again, to another node where that is better.
 */

import type { NodeAddress } from "../network/address";
import { retryAfter } from "../network/backoff";
import type { Clock } from "../network/clock";
import type { Connection } from "../network/connection";
import { ClockDiffers, OtherNetwork } from "../network/errors";
import { TaceError } from "../wire/errors";
import type { EngineEvent, OfflineReason } from "./contract";
import type { Inbox } from "./inbox";
import type { Outbox } from "./outbox";
import type { Showing } from "./showing";
import type { Status } from "./status";

/** A connection that lasted so long says that all was well. */
const STEADY_MS = 10_000;

export interface FollowingParts {
  inbox: Inbox;
  outbox: Outbox;
  showing: Showing;
  status: Status;
  clock: Clock;
  chance: () => number;
  /** A WebSocket to a node that is polled, as soon as one opens. */
  webSocketAgain: (address: NodeAddress, signal: AbortSignal) => Promise<Connection>;
  /** The node that is dialled first. */
  firstOrigin: () => string | null;
  /** Whether what is sent goes through another node where one is known. */
  usesTwoNodes: () => boolean;
  tell: (event: EngineEvent) => void;
  /** Messages are pushed now: what is to be sent may go, too. */
  connected: (connection: Connection) => void;
  /** It ended for a reason that trying again does not mend. */
  failed: (error: unknown) => void;
}

export class Following {
  private readonly ending = new AbortController();
  private attempt = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private lost: ((reason: TaceError) => void) | null = null;
  private connection: Connection | null = null;
  private lastOrigin: string | null = null;
  private isOnline = true;
  private isDialling = false;
  private isChosen = false;

  constructor(private readonly parts: FollowingParts) {}

  start(): void {
    this.running = this.run().catch((error: unknown) => this.parts.failed(error));
  }

  async stop(): Promise<void> {
    this.ending.abort();
    this.attempt.abort();
    this.parts.inbox.close();
    this.lost?.(new TaceError("closed"));
    await this.running;
  }

  /** The node that collects now. */
  get origin(): string | null {
    return this.connection && !this.connection.lost ? this.connection.address.origin : null;
  }

  /** Not waiting for the next try. */
  connectNow(): void {
    this.attempt.abort();
  }

  /** What the browser says of the network; it may be wrong, so it is tried all the same. */
  online(isOnline: boolean): void {
    if (isOnline === this.isOnline) return;
    this.isOnline = isOnline;
    if (this.isDialling) this.showDialling();
    if (isOnline) {
      this.connectNow();
      return;
    }
    // Better to find out now than when the node has been silent for long.
    this.leave("the browser is offline");
  }

  /** The user wants another node: it is no fail-over when it comes. */
  move(): void {
    this.isChosen = true;
    this.leave("another node was chosen");
    this.connectNow();
  }

  /** Called by the inbox once for each connection it had. */
  readonly onLost = (reason: TaceError): void => {
    const lost = this.lost;
    this.lost = null;
    lost?.(reason);
  };

  private leave(why: string): void {
    if (!this.lost) return;
    this.parts.inbox.close();
    this.onLost(new TaceError("left", why));
  }

  private async run(): Promise<void> {
    let failures = 0;
    const { showing, clock } = this.parts;
    while (!this.ending.signal.aborted) {
      this.attempt = new AbortController();
      let reason: unknown;
      this.isDialling = true;
      this.showDialling();
      try {
        const lost = new Promise<TaceError>((resolve) => {
          this.lost = resolve;
        });
        this.connection = await this.parts.inbox.open(this.ending.signal);
        this.isDialling = false;
        const openedMs = clock.now();
        this.isConnected(this.connection);
        const upgrading = new AbortController();
        this.upgrade(this.connection, upgrading.signal);
        reason = await lost;
        upgrading.abort();
        // One that breaks as soon as it is there, again and again, is not dialled without a pause.
        const isSteady = clock.now() - openedMs >= STEADY_MS;
        if (isSteady || (reason instanceof TaceError && reason.code === "left")) failures = 0;
      } catch (error) {
        reason = error;
        if (!(error instanceof TaceError) && !this.ending.signal.aborted) this.parts.failed(error);
      }
      this.isDialling = false;
      this.lost = null;
      this.connection = null;
      if (this.ending.signal.aborted) {
        // It may have opened after it was told to end.
        this.parts.inbox.close();
        return;
      }
      failures += 1;
      await showing.interrupted();
      // A connection that broke is replaced at once.
      if (failures > 1) await this.wait(failures - 1, reason);
      showing.catchingUp();
    }
  }

  /** Without a network it is tried as well, and not called connecting: that may take long to fail. */
  private showDialling(): void {
    const { status, firstOrigin } = this.parts;
    status.become({
      connection: this.isOnline
        ? { at: "connecting", node: firstOrigin() }
        : { at: "offline", retryAtMs: null, why: "network" },
    });
  }

  private isConnected(connection: Connection): void {
    const { status, clock, outbox } = this.parts;
    const { origin } = connection.address;
    const node = origin;
    const sinceMs = clock.now();
    const via = connection.carrier;
    status.become({ connection: { at: "connected", via, node, sinceMs } });
    outbox.avoid(this.parts.usesTwoNodes() ? connection.challenge.nodeId : null);
    const { lastOrigin } = this;
    if (lastOrigin !== null && lastOrigin !== origin && !this.isChosen) {
      this.parts.tell({ event: "failover", from: lastOrigin, to: origin });
    }
    this.isChosen = false;
    this.lastOrigin = origin;
    this.parts.connected(connection);
  }

  /** From polling back to a WebSocket, as soon as one comes through. */
  private upgrade(polled: Connection, signal: AbortSignal): void {
    if (polled.carrier !== "polling") return;
    void (async () => {
      while (!signal.aborted) {
        try {
          const found = await this.parts.webSocketAgain(polled.address, signal);
          if (signal.aborted) {
            found.close();
            return;
          }
          await this.parts.inbox.watchOn(found);
          this.connection = found;
          this.isConnected(found);
          return;
        } catch {
          // It did not let us: the polled connection is still there.
        }
      }
    })();
  }

  private async wait(failures: number, reason: unknown): Promise<void> {
    const { clock, chance, status } = this.parts;
    const milliseconds = retryAfter(failures, chance);
    const retryAtMs = clock.now() + milliseconds;
    const why = this.why(reason);
    status.become({ connection: { at: "offline", retryAtMs, why } });
    await new Promise<void>((resolve) => {
      const cancel = clock.after(milliseconds, resolve);
      const now = () => {
        cancel();
        resolve();
      };
      this.attempt.signal.addEventListener("abort", now, { once: true });
      if (this.attempt.signal.aborted) now();
    });
  }

  private why(reason: unknown): OfflineReason {
    if (reason instanceof OtherNetwork) return "wrong-network";
    if (reason instanceof ClockDiffers) return "clock";
    return this.isOnline ? "nodes" : "network";
  }
}
