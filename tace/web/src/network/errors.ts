/** What can be wrong with a node, or with all of them. */

import { Refusal, TaceError } from "../wire/errors";

/** No node could be reached. */
export class NoNode extends TaceError {
  /**
   * @param cause what the first one that was tried said; of a piece of work, the last one.
   * @param pauseMs how long the only node there is wants to be left alone; 0 where none said.
   */
  constructor(
    message: string,
    cause?: unknown,
    readonly pauseMs = 0,
  ) {
    super("no-node", message);
    this.cause = cause;
  }
}

/** The node belongs to another network than this identity. */
export class OtherNetwork extends Refusal {
  constructor(detail: string) {
    super("wrong-network", detail);
  }
}

/** The node's clock and this device's differ by more than a day. */
export class ClockDiffers extends Refusal {
  /** @param aheadMs how far the node's clock is ahead of this one's. */
  constructor(readonly aheadMs: number) {
    super("clock", "the node's clock and this device's differ by more than a day");
  }
}

/** The node speaks no version that is known here. */
export class OtherVersion extends Refusal {
  constructor() {
    super("wrong-version", "the node speaks no version that is known here");
  }
}

/** The node wants stamps that cost more than any message is worth. */
export class TooMuchWork extends Refusal {
  constructor(bits: number) {
    super("too-much-work", `the node wants stamps of ${bits} bits`);
  }
}
