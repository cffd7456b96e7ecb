import type { Bytes } from "../../wire/bytes";
import type { KnownNode, NodeStore } from "../known-nodes";

/** The book of nodes in memory. */
export class MemoryNodeStore implements NodeStore {
  readonly rows = new Map<string, KnownNode>();
  network: Bytes | null = null;

  async nodes(): Promise<readonly KnownNode[]> {
    return [...this.rows.values()];
  }

  async changeNodes(put: readonly KnownNode[], remove: readonly string[]): Promise<void> {
    for (const node of put) this.rows.set(node.origin, node);
    for (const origin of remove) this.rows.delete(origin);
  }

  async networkId(): Promise<Bytes | null> {
    return this.network;
  }

  async pinNetwork(networkId: Bytes): Promise<void> {
    this.network = networkId;
  }
}
