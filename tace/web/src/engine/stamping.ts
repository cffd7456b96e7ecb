/** Proof of work for what strangers send: made in slices of time, so that the engine stays awake. */

import { stampSearch } from "../e2ee/stamp";
import type { Clock } from "../network/clock";
import { type Connection, MAX_STAMP_BITS } from "../network/connection";
import { TooMuchWork } from "../network/errors";
import { Turns } from "../store/turns";
import { type Bytes, hex } from "../wire/bytes";
import type { SendResult } from "../wire/client";
import { type Envelope, KIND_REQUESTS, makeEnvelope, stampedFor } from "../wire/objects";

/** How long the engine may be busy with a stamp before everything else has its turn. */
const SLICE_MS = 12;
/** How many mailboxes' wishes are remembered. */
const MAX_REMEMBERED = 1024;

/** The program is ending. */
export class StampGivenUp extends Error {}

export interface Stamp {
  target: number;
  nonce: bigint;
}

/** How many bits a `stamp-required` asks for; NaN where it does not say. */
export function wantedBits(detail: string): number {
  return Number(/(\d{1,3})$/.exec(detail)?.[1] ?? Number.NaN);
}

/** Makes stamps, one at a time. */
export class Stamper {
  private readonly turns = new Turns();
  private isStopped = false;

  /** @param clock its `after` gives everything else its turn. */
  constructor(private readonly clock: Clock) {}

  /** The same envelope with a stamp of that many bits. */
  async stamp(envelope: Envelope, target: number): Promise<Envelope> {
    const { nonce } = await this.search(envelope.id, target);
    return await makeEnvelope({ ...envelope, stampTarget: target, stampNonce: nonce });
  }

  /**
   * A stamp over the id of an envelope, or the hash of a blob.
   *
   * @throws StampGivenUp `stop` was called.
   */
  search(id: Uint8Array, target: number): Promise<Stamp> {
    return this.turns.run(async () => {
      let sliceEnds = this.clock.now() + SLICE_MS;
      for (const nonce of stampSearch(id, target)) {
        if (nonce !== null) return { target, nonce };
        if (this.isStopped) break;
        if (this.clock.now() >= sliceEnds) {
          await new Promise<void>((resolve) => this.clock.after(0, resolve));
          sliceEnds = this.clock.now() + SLICE_MS;
        }
      }
      throw new StampGivenUp();
    });
  }

  stop(): void {
    this.isStopped = true;
  }
}

/** Makes the stamps that nodes and mailboxes ask for, and remembers what they ask for. */
export class Stamps {
  private readonly wantedBits = new Map<string, number>();

  constructor(private readonly stamper: Stamper) {}

  /**
   * The envelope with the stamp that its mailbox asks for; itself where that is fine.
   *
   * @throws TooMuchWork the node wants more than any message is worth.
   */
  async stamped(connection: Connection, envelope: Envelope): Promise<Envelope> {
    const { nodeId, requestsStampBits } = connection.challenge;
    const wanted = this.wantedBits.get(`${hex(nodeId)} ${hex(envelope.mailbox)}`) ?? 0;
    const target = Math.max(requestsStampBits, wanted);
    if (envelope.kind !== KIND_REQUESTS || (await stampedFor(envelope, target))) return envelope;
    if (target > MAX_STAMP_BITS) throw new TooMuchWork(target);
    return await this.stamper.stamp(envelope, target);
  }

  /** Remember how much work a mailbox wants at that node; false where it was done, or is too much. */
  wants(nodeId: Bytes, envelope: Envelope, result: SendResult): boolean {
    const bits = wantedBits(result.detail);
    if (!(bits > envelope.stampTarget && bits <= MAX_STAMP_BITS)) return false;
    if (this.wantedBits.size >= MAX_REMEMBERED) this.wantedBits.clear();
    this.wantedBits.set(`${hex(nodeId)} ${hex(envelope.mailbox)}`, bits);
    return true;
  }
}
