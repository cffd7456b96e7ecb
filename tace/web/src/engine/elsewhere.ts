/**
 * Connections that are lent for one piece of work: to another node than one that said a message is
 * stored, because its word may be wrong, or be of replicas that are gone.
 *
 * The node that is used otherwise stays in use: what is written next goes there.
 */

import type { Connection } from "../network/connection";
import type { Nodes } from "../network/nodes";
import type { Bytes } from "../wire/bytes";
import { hex } from "../wire/bytes";
import { Failure, Refusal } from "../wire/errors";

/** How many of them may break under one piece of work before those in use have to do. */
const NODES_TRIED = 3;

export class Elsewhere {
  private lent: Connection | null = null;
  private failures = 0;

  /** @param ended fires when nothing is to be opened any more. */
  constructor(
    private readonly nodes: Nodes,
    private readonly ended: AbortSignal,
  ) {}

  /**
   * A connection to a node other than that one, the one that was opened before where it fits; null
   * where none can be had.
   *
   * @param without the node's id; "" fits any.
   * @param avoid the id of a node that is taken only where there is no other.
   */
  async connected(without: string, avoid: Bytes | null): Promise<Connection | null> {
    const { lent } = this;
    if (lent && !lent.lost && hex(lent.challenge.nodeId) !== without) return lent;
    this.end();
    if (this.failures >= NODES_TRIED || this.ended.aborted) return null;
    this.lent = await this.nodes.connectElsewhere(without, avoid, this.ended);
    return this.lent;
  }

  /**
   * Do something on what `connected` gave; null when the node broke or refused, and is left.
   *
   * @throws what else the work throws.
   */
  async tried<T>(connection: Connection, work: () => Promise<T>): Promise<T | null> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Failure || error instanceof Refusal)) throw error;
      this.failures += 1;
      this.end();
      const pauseMs = error instanceof Refusal ? error.retryAfterMs : 0;
      await this.nodes.failed(connection.address, error, pauseMs);
      return null;
    }
  }

  /** The work is done, or is to stop. */
  end(): void {
    this.lent?.close();
    this.lent = null;
  }
}
