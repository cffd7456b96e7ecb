/** The book of nodes on the disk. */

import type { KnownNode, NodeStore } from "../network/known-nodes";
import type { Bytes } from "../wire/bytes";
import type { Database } from "./database";
import { meta, setMeta } from "./meta";

export class StoredNodes implements NodeStore {
  constructor(private readonly database: Database) {}

  async nodes(): Promise<readonly KnownNode[]> {
    return await this.database.reader.all("node");
  }

  async changeNodes(put: readonly KnownNode[], remove: readonly string[]): Promise<void> {
    await this.database.change(async (change) => {
      for (const node of put) change.put("node", node);
      for (const origin of remove) change.remove("node", origin);
    });
  }

  async networkId(): Promise<Bytes | null> {
    return (await meta(this.database.reader, "networkId")) ?? null;
  }

  async pinNetwork(networkId: Bytes): Promise<void> {
    await this.database.change(async (change) => setMeta(change, "networkId", networkId));
  }
}
