/** The tables, their keys and indexes; and how a database is brought to this version. */

import type { IDBPDatabase, IDBPTransaction } from "idb";
import type { TableName } from "./rows";

export const DATABASE_VERSION = 2;

interface TableShape {
  /** The property that is the key, or several that are it together. */
  key: string | readonly string[];
  indexes: Readonly<Record<string, string | readonly string[]>>;
}

/** A row that lacks a property of an index (or has null there) does not stand in that index. */
export const SCHEMA = {
  meta: { key: "name", indexes: {} },
  node: { key: "origin", indexes: {} },
  prekey: { key: "id", indexes: {} },
  ownRecord: { key: "key", indexes: {} },
  person: { key: "identity", indexes: { byStanding: "standing" } },
  device: { key: ["identity", "device"], indexes: {} },
  message: {
    key: "id",
    indexes: {
      byPlace: ["chat", "place"],
      byContent: ["chat", "mine", "contentId"],
      byFirstPart: ["chat", "firstPart"],
      byCounter: ["chat", "device", "counter"],
      bySaved: ["chat", "savedMs"],
      unread: ["chat", "unread", "place"],
      unshown: "unshown",
      waiting: "waiting",
    },
  },
  file: { key: "id", indexes: {} },
  looseEnd: { key: ["chat", "target", "id"], indexes: { byKept: ["chat", "keptMs"] } },
  outgoing: {
    key: "seq",
    indexes: {
      byPeer: "peer",
      byContent: ["peer", "id"],
      byMessage: ["peer", "message"],
      byAddressed: "addressed",
      byExpiry: "expiresHours",
    },
  },
  parcel: {
    key: "seq",
    indexes: { byOutgoing: "outgoing", due: ["state", "stamped", "nextMs"] },
  },
  opened: { key: "id", indexes: { byExpiry: "expiresHours" } },
  unreadable: { key: "id", indexes: { byDevice: ["peer", "device"], byKept: "keptMs" } },
  part: { key: ["peer", "whole", "number"], indexes: {} },
  receipt: { key: ["peer", "id"], indexes: {} },
} as const satisfies Record<TableName, TableShape>;

export type IndexName<N extends TableName> = Extract<keyof (typeof SCHEMA)[N]["indexes"], string>;

export function tableNames(): TableName[] {
  return Object.keys(SCHEMA) as TableName[];
}

/** The property paths of a table's key or of one of its indexes. */
export function pathsOf(table: TableName, index?: string): readonly string[] {
  const shape: TableShape = SCHEMA[table];
  const path = index === undefined ? shape.key : shape.indexes[index];
  if (path === undefined) throw new Error(`no index ${index} in ${table}`);
  return typeof path === "string" ? [path] : path;
}

/**
 * Makes what a database of an earlier version lacks. Steps are only ever appended.
 *
 * @param from its version; 0: there is none yet.
 */
export function upgrade(
  database: IDBPDatabase,
  from: number,
  transaction: IDBPTransaction<unknown, string[], "versionchange">,
): void {
  if (from < 1) {
    for (const name of tableNames()) {
      const shape: TableShape = SCHEMA[name];
      const table = database.createObjectStore(name, { keyPath: mutable(shape.key) });
      for (const [index, path] of Object.entries(shape.indexes)) {
        table.createIndex(index, mutable(path));
      }
    }
    return;
  }
  if (from < 2) {
    // What no node has taken yet is told from what is offered once more.
    const parcels = transaction.objectStore("parcel");
    parcels.deleteIndex("due");
    parcels.createIndex("due", ["state", "stamped", "nextMs"]);
  }
}

function mutable(path: string | readonly string[]): string | string[] {
  return typeof path === "string" ? path : [...path];
}
