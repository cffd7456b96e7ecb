/**
 * Carries client messages by HTTP requests and long polls, where no WebSocket comes through.
 *
 * At most two exchanges and one poll are under way, because a browser opens six connections to one
 * origin and both an inbox and an outbox may be there.
 */

import { LinkLost, ProtocolError, TaceError, TimedOut } from "../wire/errors";
import { joinFrames, LENGTH_BYTES, MAX_BODY_BYTES, MAX_FRAMES } from "../wire/frames";
import type { NodeAddress } from "./address";
import { type Clock, delay } from "./clock";
import { type Fetch, type HttpAnswer, HttpSession } from "./http-session";
import type { OpenTransport, Transport, TransportListener } from "./transport";

const MAX_EXCHANGES = 2;
/** Messages that wait for an exchange; requests have a bound of their own in the connection. */
const MAX_QUEUED = 256;
/** The node answers a poll after 25 s, an exchange after 12 s; the rest is the way. */
const POLL_MS = 35_000;
const EXCHANGE_MS = 20_000;
/** An answer that got lost is asked for again after these pauses; then the session is lost. */
const AGAIN_MS = [250, 1_000, 2_000];

/** Opens transports with this `fetch` (`(url, init) => fetch(url, init)`). */
export function pollingTransport(fetch: Fetch, clock: Clock): OpenTransport {
  return (address, listener) => new PollingTransport(fetch, clock, address, listener);
}

class PollingTransport implements Transport {
  readonly carrier = "polling";
  readonly #session: HttpSession;
  readonly #clock: Clock;
  readonly #listener: TransportListener;
  readonly #ended = new AbortController();
  readonly #queue: Uint8Array[] = [];
  #exchanges = 0;
  #flushing = false;

  constructor(fetch: Fetch, clock: Clock, address: NodeAddress, listener: TransportListener) {
    this.#session = new HttpSession(fetch, address);
    this.#clock = clock;
    this.#listener = listener;
    this.#observe(this.#run());
  }

  send(data: Uint8Array): void {
    if (this.#ended.signal.aborted) return;
    if (this.#queue.length >= MAX_QUEUED) {
      this.#end(new LinkLost("the node does not keep up"));
      return;
    }
    this.#queue.push(data);
    if (this.#flushing) return;
    this.#flushing = true;
    // What is said in one turn leaves in one request.
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  close(): void {
    if (this.#ended.signal.aborted) return;
    this.#queue.length = 0;
    this.#ended.abort(new LinkLost("closed"));
    this.#session.end();
  }

  /** From the opening of the session to its end: polls, one after the other. */
  async #run(): Promise<void> {
    const signal = this.#ended.signal;
    const opened = await this.#session.open(signal);
    if (signal.aborted) {
      // Closed while the answer was on its way: the session was not known to end it.
      this.#session.end();
      return;
    }
    this.#take(opened);
    for (let number = 1; !signal.aborted; number += 1) {
      this.#take(await this.#insist(POLL_MS, (each) => this.#session.poll(number, each)));
    }
  }

  #flush(): void {
    while (this.#queue.length > 0 && this.#exchanges < MAX_EXCHANGES) {
      const body = joinFrames(this.#nextBatch());
      this.#exchanges += 1;
      const exchange = this.#insist(EXCHANGE_MS, (each) => this.#session.exchange(body, each));
      this.#observe(
        exchange.then((answer) => {
          this.#exchanges -= 1;
          this.#take(answer);
          this.#flush();
        }),
      );
    }
  }

  #nextBatch(): Uint8Array[] {
    let length = 0;
    const fits = this.#queue.findIndex((message, index) => {
      length += LENGTH_BYTES + message.length;
      return index >= MAX_FRAMES || length > MAX_BODY_BYTES;
    });
    return this.#queue.splice(0, fits < 0 ? this.#queue.length : fits);
  }

  /**
   * Asks, and asks again when no answer comes: a poll is answered with the same batch again, and
   * every request may be repeated.
   */
  async #insist(
    timeoutMs: number,
    ask: (signal: AbortSignal) => Promise<HttpAnswer>,
  ): Promise<HttpAnswer> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await this.#within(timeoutMs, ask);
      } catch (error) {
        const pause = AGAIN_MS[failures];
        if (this.#ended.signal.aborted || error instanceof ProtocolError) throw error;
        if (pause === undefined) throw error;
        await delay(this.#clock, pause, this.#ended.signal);
      }
    }
  }

  async #within(
    timeoutMs: number,
    ask: (signal: AbortSignal) => Promise<HttpAnswer>,
  ): Promise<HttpAnswer> {
    const timeout = new AbortController();
    const cancelTimer = this.#clock.after(timeoutMs, () => {
      timeout.abort(new TimedOut("the node did not answer in time"));
    });
    try {
      const answer = await ask(AbortSignal.any([this.#ended.signal, timeout.signal]));
      // A gateway on the way says so when the node is not to be had for a moment.
      if (answer.refused !== null && answer.refused >= 500 && answer.messages.length === 0) {
        throw new LinkLost(`HTTP status ${answer.refused}`);
      }
      return answer;
    } finally {
      cancelTimer();
    }
  }

  #take(answer: HttpAnswer): void {
    for (const message of answer.messages) {
      if (this.#ended.signal.aborted) return;
      this.#listener.onMessage(message);
    }
    // The last message said why.
    if (answer.refused !== null) this.#end(new LinkLost(`HTTP status ${answer.refused}`));
  }

  #observe(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#end(error instanceof TaceError ? error : new LinkLost(String(error)));
    });
  }

  #end(reason: TaceError): void {
    if (this.#ended.signal.aborted) return;
    this.close();
    this.#listener.onClose(reason);
  }
}
