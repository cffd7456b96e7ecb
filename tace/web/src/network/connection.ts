/**
 * One connection to a node, whatever carries it: requests and their answers, pushes, liveness.
 */

import type { Bytes } from "../wire/bytes";
import {
  CaughtUp,
  Challenge,
  CLIENT_MESSAGES,
  ClientPing,
  ClientPong,
  ClientRefused,
  encodeClientMessage,
  PROTOCOL_VERSION,
  Push,
  splitClientMessage,
} from "../wire/client";
import {
  LinkLost,
  ProtocolError,
  Refusal,
  refusalFromWire,
  type TaceError,
  TimedOut,
  UnknownMessage,
} from "../wire/errors";
import type { Given, Shape, Values } from "../wire/fields";
import { type Arrived, type MessageKind, type RequestKind, valuesOf } from "../wire/message";
import type { NodeAddress } from "./address";
import type { Clock } from "./clock";
import { ClockDiffers, OtherVersion, TooMuchWork } from "./errors";
import type { Carrier, OpenTransport, Transport } from "./transport";

/** From the dial to the node's challenge. */
export const OPENING_MS = 5_000;
/** A node answers a send within 3 s whatever is dead; the rest is the way there and back. */
export const ANSWER_MS = 10_000;
/** After this long without a byte the client asks whether the node is still there. */
export const QUIET_MS = 20_000;
export const PONG_MS = 5_000;
export const MAX_CLOCK_DIFFERENCE_MS = 24 * 3_600_000;
/** A stamp of more bits takes half a minute and more: such a node is broken or hostile. */
export const MAX_STAMP_BITS = 24;
/** Whatever a node allows: what waits for answers is kept here, on its word. */
export const MAX_REQUESTS_IN_FLIGHT = 64;
const MAX_REQUEST_ID = 0xffff_ffff;

/** Who wants to know what a node says unasked. */
export interface ConnectionEvents {
  /** A message for one of the leased mailboxes; 3,630 bytes, not looked at yet. */
  onPush(envelope: Bytes): void;
  /** Everything that waited there when the watch began has been pushed. */
  onCaughtUp(mailbox: Bytes, complete: boolean): void;
  /** The connection is over; every request on it has failed. Called once. */
  onLost(reason: TaceError): void;
}

export const NO_EVENTS: ConnectionEvents = {
  onPush() {},
  onCaughtUp() {},
  onLost() {},
};

interface Waiting {
  readonly answer: MessageKind<Shape>;
  readonly resolve: (values: unknown) => void;
  readonly reject: (reason: TaceError) => void;
  readonly cancelTimer: () => void;
  readonly askedMs: number;
}

/** The client's side of `tace.client.1`. */
export class Connection {
  /** May be set at any time; what comes unasked before is lost. */
  events: ConnectionEvents = NO_EVENTS;
  /** Settles once the node has spoken, or will not. */
  readonly opened: Promise<Challenge>;

  readonly #transport: Transport;
  readonly #waiting = new Map<number, Waiting>();
  #challenge: Challenge | null = null;
  #settleOpened!: { resolve: (challenge: Challenge) => void; reject: (reason: TaceError) => void };
  #nodeClockOffsetMs = 0;
  #lastId = 0;
  #lost: TaceError | null = null;
  readonly #endings = new Set<() => void>();
  #heardMs: number;
  #roundTripMs: number | null = null;
  #cancelTimer: () => void;

  /**
   * @param address what is dialled; leases are signed for its origin.
   * @param clock timeouts, the quiet timer, and how far the node's clock has moved on.
   */
  constructor(
    readonly address: NodeAddress,
    open: OpenTransport,
    private readonly clock: Clock,
  ) {
    this.opened = new Promise((resolve, reject) => {
      this.#settleOpened = { resolve, reject };
    });
    // A connection that nobody waits for any more may fail unheard.
    this.opened.catch(() => {});
    this.#heardMs = clock.now();
    this.#cancelTimer = clock.after(OPENING_MS, () => {
      this.#giveUp(new TimedOut("the node did not speak in time"));
    });
    this.#transport = open(address, {
      onMessage: (data) => this.#received(data),
      onClose: (reason) => this.#end(reason),
    });
  }

  get carrier(): Carrier {
    return this.#transport.carrier;
  }

  /** What the node said first. @throws Error before `opened`. */
  get challenge(): Challenge {
    if (!this.#challenge) throw new Error("the node has not spoken yet");
    return this.#challenge;
  }

  /** Why it is over; null while it is not. */
  get lost(): TaceError | null {
    return this.#lost;
  }

  /** The node's clock, now, in milliseconds since 1970. */
  get nodeNow(): number {
    return this.clock.now() + this.#nodeClockOffsetMs;
  }

  /** Of pings and other questions that a node answers by itself: smoothed; null before the first. */
  get roundTripMs(): number | null {
    return this.#roundTripMs;
  }

  /** Whether the node goes by the name that was dialled: else no lease may be signed for it. */
  get mayLease(): boolean {
    return this.challenge.names.includes(this.address.origin);
  }

  /**
   * Asks; many may be under way at once. Rejects with
   * - Refusal: the node says no (`too-many`: it takes no more requests at once);
   * - LinkLost: the connection is over, or ended before the answer;
   * - TimedOut: no answer in time; the connection is then given up.
   */
  request<S extends Shape, A extends Shape>(
    kind: RequestKind<S, A>,
    values: Given<S>,
    timeoutMs = ANSWER_MS,
  ): Promise<Values<A>> {
    if (this.#lost) return Promise.reject(new LinkLost(this.#lost.message));
    const bound = Math.min(MAX_REQUESTS_IN_FLIGHT, this.challenge.requestsInFlight);
    if (this.#waiting.size >= bound) {
      return Promise.reject(new Refusal("too-many", "requests in flight"));
    }
    const id = this.#nextId();
    const encoded = encodeClientMessage(kind, values, id);
    return new Promise<Values<A>>((resolve, reject) => {
      this.#waiting.set(id, {
        answer: kind.answer,
        // Read by the fields of `kind.answer`.
        resolve: (found) => resolve(found as Values<A>),
        reject,
        cancelTimer: this.clock.after(timeoutMs, () => {
          // An overdue answer means that the node hangs: another one is asked instead.
          this.#giveUp(new TimedOut("the node did not answer in time"));
        }),
        askedMs: this.clock.now(),
      });
      this.#transport.send(encoded);
    });
  }

  /** Says something that has no answer; nothing happens on a lost connection. */
  tell<S extends Shape>(kind: MessageKind<S>, values: Given<S>): void {
    if (!this.#lost) this.#transport.send(encodeClientMessage(kind, values, 0));
  }

  /** Measures the round trip, and whether the node is there. Rejects like `request`. */
  async ping(): Promise<void> {
    await this.request(ClientPing, {}, PONG_MS);
  }

  /** Ends it in good order. Requests under way fail with that reason. */
  close(reason: TaceError = new LinkLost("closed")): void {
    this.#giveUp(reason);
  }

  /** Calls once when it is over (at once when it is already); the answer takes that back. */
  whenLost(call: () => void): () => void {
    if (this.#lost) {
      call();
      return () => {};
    }
    this.#endings.add(call);
    return () => {
      this.#endings.delete(call);
    };
  }

  // -- what comes ---------------------------------------------------------------------------------

  #received(data: Uint8Array): void {
    if (this.#lost) return;
    this.#heardMs = this.clock.now();
    try {
      const { number, requestId, body } = splitClientMessage(data);
      this.#dispatch(CLIENT_MESSAGES.decode(number, body), requestId);
    } catch (error) {
      // A newer node may say things that are not known here, as long as they answer nothing.
      if (error instanceof UnknownMessage) return;
      if (!(error instanceof ProtocolError)) throw error;
      this.#giveUp(error);
    }
  }

  #dispatch(arrived: Arrived, requestId: number): void {
    const refused = valuesOf(arrived, ClientRefused);
    if (!this.#challenge) {
      const challenge = valuesOf(arrived, Challenge);
      if (challenge) this.#open(challenge);
      else if (refused) this.#giveUp(refusalOf(refused));
      else throw new ProtocolError("the node did not begin with its challenge");
      return;
    }
    if (requestId !== 0) {
      this.#answered(arrived, requestId);
      return;
    }
    // The node is about to close: this is the reason that requests will fail with.
    if (refused) {
      this.#giveUp(refusalOf(refused));
      return;
    }
    const push = valuesOf(arrived, Push);
    if (push) {
      this.events.onPush(push.envelope);
      return;
    }
    const caughtUp = valuesOf(arrived, CaughtUp);
    if (!caughtUp) throw new ProtocolError(`${arrived.kind.name} answers nothing`);
    this.events.onCaughtUp(caughtUp.mailbox, caughtUp.complete);
  }

  #open(challenge: Challenge): void {
    const aheadMs = challenge.clockMs - this.clock.now();
    const reason =
      Math.abs(aheadMs) > MAX_CLOCK_DIFFERENCE_MS
        ? new ClockDiffers(aheadMs)
        : !challenge.versions.includes(PROTOCOL_VERSION)
          ? new OtherVersion()
          : challenge.requestsStampBits > MAX_STAMP_BITS
            ? new TooMuchWork(challenge.requestsStampBits)
            : null;
    if (reason) {
      this.#giveUp(reason);
      return;
    }
    this.#nodeClockOffsetMs = aheadMs;
    this.#challenge = challenge;
    this.#setTimer(QUIET_MS);
    this.#settleOpened.resolve(challenge);
  }

  #answered(arrived: Arrived, requestId: number): void {
    const waiting = this.#waiting.get(requestId);
    // An answer that nobody waits for is one that was asked for before this was lost.
    if (!waiting) return;
    this.#waiting.delete(requestId);
    waiting.cancelTimer();
    const pong = valuesOf(arrived, ClientPong);
    if (pong) {
      const tookMs = this.clock.now() - waiting.askedMs;
      this.#roundTripMs = smoothed(this.#roundTripMs, tookMs);
      this.#nodeClockOffsetMs = pong.clockMs - this.clock.now();
    }
    const refused = valuesOf(arrived, ClientRefused);
    if (refused) {
      waiting.reject(refusalOf(refused));
    } else if (arrived.kind.number === waiting.answer.number) {
      waiting.resolve(arrived.values);
    } else {
      const error = new ProtocolError(`${arrived.kind.name} instead of ${waiting.answer.name}`);
      waiting.reject(error);
      throw error;
    }
  }

  // -- liveness and the end -----------------------------------------------------------------------

  #quiet(): void {
    const remaining = this.#heardMs + QUIET_MS - this.clock.now();
    if (remaining > 0) {
      this.#setTimer(remaining);
      return;
    }
    // Without an answer the request itself gives the connection up.
    this.ping().catch(() => {});
    if (!this.#lost) this.#setTimer(QUIET_MS);
  }

  #setTimer(milliseconds: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.clock.after(milliseconds, () => this.#quiet());
  }

  #nextId(): number {
    do {
      this.#lastId = (this.#lastId % MAX_REQUEST_ID) + 1;
    } while (this.#waiting.has(this.#lastId));
    return this.#lastId;
  }

  #giveUp(reason: TaceError): void {
    if (this.#lost) return;
    this.#transport.close();
    this.#end(reason);
  }

  #end(reason: TaceError): void {
    if (this.#lost) return;
    this.#lost = reason;
    this.#cancelTimer();
    this.#settleOpened.reject(reason);
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const each of waiting) {
      each.cancelTimer();
      each.reject(reason);
    }
    for (const call of this.#endings) call();
    this.#endings.clear();
    this.events.onLost(reason);
  }
}

/** A moving average that follows an eighth of each change, as TCP's does (RFC 6298, section 2). */
export function smoothed(before: number | null, nowMs: number): number {
  return before === null ? nowMs : before + (nowMs - before) / 8;
}

function refusalOf(refused: ClientRefused): Refusal {
  return refusalFromWire(refused.code, refused.detail, refused.retryAfterMs);
}
