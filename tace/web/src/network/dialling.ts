/** Opens connections: by WebSocket, or by long polling where no WebSocket comes through. */

import { LinkLost, ProtocolError, Refusal } from "../wire/errors";
import type { NodeAddress } from "./address";
import { type Random, webSocketAgainAfter } from "./backoff";
import { type Clock, delay } from "./clock";
import { Connection } from "./connection";
import { type Attempt, firstOf } from "./race";
import type { OpenTransport } from "./transport";

/** How long a WebSocket may be silent before polling is tried beside it. */
export const POLLING_AFTER_MS = 2_000;
const MAX_REMEMBERED = 256;

/** Opens a connection on which the node has spoken; rejects with a TaceError. */
export type Dial = (address: NodeAddress, signal?: AbortSignal) => Promise<Connection>;

interface Blocked {
  failures: number;
  untilMs: number;
}

/** Opens connections, and remembers where WebSockets do not come through. */
export class Dialler {
  readonly #blocked = new Map<string, Blocked>();

  constructor(
    private readonly webSocket: OpenTransport,
    private readonly polling: OpenTransport,
    private readonly clock: Clock,
    private readonly random: Random,
  ) {}

  /**
   * By whichever carrier works, a WebSocket before polling.
   *
   * Rejects with a Refusal when the node said why it will not, else with LinkLost or TimedOut.
   */
  readonly dial: Dial = async (address, signal) => {
    let refused: Refusal | null = null;
    const attempt =
      (open: OpenTransport): Attempt<Connection> =>
      async (each) => {
        // A node that said why it will not would say it again on the other carrier.
        if (refused) throw refused;
        try {
          return await this.#open(open, address, each);
        } catch (error) {
          if (error instanceof Refusal && !(error instanceof ProtocolError)) refused = error;
          throw error;
        }
      };
    const socket = attempt(this.webSocket);
    const polling = attempt(this.polling);
    const blocked = this.#blocked.get(address.origin);
    const first =
      blocked && blocked.untilMs > this.clock.now() ? [polling, socket] : [socket, polling];
    const tooLate = (late: Connection) => late.close();
    const connection = await firstOf(this.clock, first, POLLING_AFTER_MS, tooLate, signal);
    if (connection.carrier === "websocket") this.#blocked.delete(address.origin);
    else if (first[0] === socket) this.#failedAgain(address);
    return connection;
  };

  /**
   * A WebSocket to a node that is polled: tried after 30 s, then ever more seldom, up to every 10
   * minutes, until one opens or the signal fires (then it rejects with the signal's reason). Whoever
   * asked leases and watches on the new connection and then closes the old one.
   */
  async webSocketAgain(address: NodeAddress, signal: AbortSignal): Promise<Connection> {
    for (;;) {
      const blocked = this.#blocked.get(address.origin) ?? this.#failedAgain(address);
      await delay(this.clock, Math.max(0, blocked.untilMs - this.clock.now()), signal);
      try {
        const connection = await this.#open(this.webSocket, address, signal);
        this.#blocked.delete(address.origin);
        return connection;
      } catch (error) {
        if (signal.aborted) throw signal.reason ?? error;
        this.#failedAgain(address);
      }
    }
  }

  /** The network is another one (the browser came online again): what was blocked may not be. */
  forgetBlocked(): void {
    this.#blocked.clear();
  }

  #failedAgain(address: NodeAddress): Blocked {
    const failures = (this.#blocked.get(address.origin)?.failures ?? 0) + 1;
    const untilMs = this.clock.now() + webSocketAgainAfter(failures, this.random);
    const blocked = { failures, untilMs };
    this.#blocked.delete(address.origin);
    this.#blocked.set(address.origin, blocked);
    const [oldest] = this.#blocked.keys();
    if (this.#blocked.size > MAX_REMEMBERED && oldest !== undefined) this.#blocked.delete(oldest);
    return blocked;
  }

  async #open(open: OpenTransport, address: NodeAddress, signal: AbortSignal): Promise<Connection> {
    signal.throwIfAborted();
    const connection = new Connection(address, open, this.clock);
    const aborted = () => connection.close(new LinkLost("given up"));
    signal.addEventListener("abort", aborted, { once: true });
    try {
      await connection.opened;
      return connection;
    } finally {
      signal.removeEventListener("abort", aborted);
    }
  }
}
