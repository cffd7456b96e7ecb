/** Proof of work for what strangers send: made in slices of time, so that the engine stays awake. */

import { stampSearch } from "../e2ee/stamp";
import type { Clock } from "../network/clock";
import { Turns } from "../store/turns";
import { type Envelope, makeEnvelope } from "../wire/objects";

/** How long the engine may be busy with a stamp before everything else has its turn. */
const SLICE_MS = 12;

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
