/**
 * Reading the database, and gathering what is to be changed in it.
 *
 * Cryptography in a browser is asynchronous, and an IndexedDB transaction ends by itself as soon as
 * nothing is asked of it: the two do not go together. So a change is worked out on a layer in
 * memory that lies over the database (what was put is found again, what was removed is not), and
 * written in one transaction at the end. That is sound because one change is under way at a time
 * (./database), in the one tab that owns the database.
 */

import type { IDBPDatabase } from "idb";
import type { Rows, TableName } from "./rows";
import { type IndexName, pathsOf } from "./schema";

export type Key = string | number | (string | number)[];

/** Which rows of a table: all of them, or a range of its key or of an index. */
export interface Query<N extends TableName> {
  index?: IndexName<N>;
  range?: IDBKeyRange;
  /** At most so many, from the first one on. */
  limit?: number;
  /** From the last one on, in falling order. */
  reverse?: boolean;
}

/** Rows are in the order of the key or index that was asked for. */
export interface Reader {
  get<N extends TableName>(table: N, key: Key): Promise<Rows[N] | undefined>;
  all<N extends TableName>(table: N, query?: Query<N>): Promise<Rows[N][]>;
  /** Primary keys alone: nothing of the rows is read. */
  keys<N extends TableName>(table: N, query?: Query<N>): Promise<Key[]>;
}

/** All rows whose index (or key) begins with these values. */
export function prefix(...values: (string | number)[]): IDBKeyRange {
  // An array sorts after every string and number, so it ends the range.
  return IDBKeyRange.bound(values, [...values, []]);
}

/** Reads what is on the disk. */
export class Snapshot implements Reader {
  constructor(private readonly database: IDBPDatabase) {}

  async get<N extends TableName>(table: N, key: Key): Promise<Rows[N] | undefined> {
    return (await this.database.get(table, key)) as Rows[N] | undefined;
  }

  async all<N extends TableName>(table: N, query: Query<N> = {}): Promise<Rows[N][]> {
    if (query.reverse) return await this.backwards(table, query);
    const { index, range, limit } = query;
    const found =
      index === undefined
        ? await this.database.getAll(table, range, limit)
        : await this.database.getAllFromIndex(table, index, range, limit);
    // What is in a table was put there by `Change.put`, which takes nothing else.
    return found as Rows[N][];
  }

  async keys<N extends TableName>(table: N, query: Query<N> = {}): Promise<Key[]> {
    if (query.reverse) {
      const rows = await this.backwards(table, query);
      return rows.map((row) => keyOf(table, row));
    }
    const { index, range, limit } = query;
    const found =
      index === undefined
        ? await this.database.getAllKeys(table, range, limit)
        : await this.database.getAllKeysFromIndex(table, index, range, limit);
    return found as Key[];
  }

  private async backwards<N extends TableName>(table: N, query: Query<N>): Promise<Rows[N][]> {
    const store = this.database.transaction(table).store;
    const source = query.index === undefined ? store : store.index(query.index);
    const found: Rows[N][] = [];
    const limit = query.limit ?? Number.POSITIVE_INFINITY;
    let cursor = await source.openCursor(query.range, "prev");
    while (cursor && found.length < limit) {
      found.push(cursor.value as Rows[N]);
      cursor = await cursor.continue();
    }
    return found;
  }
}

/** What is to be written: a row, or the removal of whatever stands at the key. */
export interface Write {
  table: TableName;
  key: Key;
  row: Rows[TableName] | null;
}

/** The layer over the database in which a change is worked out. */
export class Change implements Reader {
  private readonly layer = new Map<TableName, Map<string, Write>>();

  constructor(private readonly below: Reader) {}

  async get<N extends TableName>(table: N, key: Key): Promise<Rows[N] | undefined> {
    const written = this.layer.get(table)?.get(nameOf(key));
    if (written) return (written.row as Rows[N] | null) ?? undefined;
    return await this.below.get(table, key);
  }

  async all<N extends TableName>(table: N, query: Query<N> = {}): Promise<Rows[N][]> {
    const written = this.layer.get(table);
    if (!written?.size) return await this.below.all(table, query);
    // As many more as may be hidden by the layer.
    const limit = query.limit === undefined ? {} : { limit: query.limit + written.size };
    const below = await this.below.all(table, { ...query, ...limit });
    const rows = below.filter((row) => !written.has(nameOf(keyOf(table, row))));
    for (const { row } of written.values()) {
      if (row !== null && matches(table, row as Rows[N], query)) rows.push(row as Rows[N]);
    }
    return this.ordered(table, rows, query);
  }

  async keys<N extends TableName>(table: N, query: Query<N> = {}): Promise<Key[]> {
    if (!this.layer.get(table)?.size) return await this.below.keys(table, query);
    return (await this.all(table, query)).map((row) => keyOf(table, row));
  }

  put<N extends TableName>(table: N, row: Rows[N]): void {
    this.write({ table, key: keyOf(table, row), row });
  }

  remove(table: TableName, key: Key): void {
    this.write({ table, key, row: null });
  }

  /** A change on top of this one: it counts when it is merged, else nothing of it stays. */
  branch(): Change & { merge(): void } {
    const branch = new Change(this);
    const merge = () => {
      for (const write of branch.writes()) this.write(write);
    };
    return Object.assign(branch, { merge });
  }

  /** Everything that was put or removed. */
  writes(): Write[] {
    return [...this.layer.values()].flatMap((table) => [...table.values()]);
  }

  private write(write: Write): void {
    let table = this.layer.get(write.table);
    if (!table) {
      table = new Map();
      this.layer.set(write.table, table);
    }
    table.set(nameOf(write.key), write);
  }

  private ordered<N extends TableName>(table: N, rows: Rows[N][], query: Query<N>): Rows[N][] {
    const sign = query.reverse ? -1 : 1;
    const keyed = rows.map((row) => ({
      row,
      by: [indexed(table, row, query.index) as Key, keyOf(table, row)],
    }));
    keyed.sort((a, b) => sign * indexedDB.cmp(a.by, b.by));
    return keyed.slice(0, query.limit).map(({ row }) => row);
  }
}

function keyOf<N extends TableName>(table: N, row: Rows[N]): Key {
  const key = indexed(table, row);
  if (key === null) throw new Error(`a row of ${table} lacks its key`);
  return key;
}

/** Where a row stands in an index (or by its key); null: nowhere. */
function indexed<N extends TableName>(table: N, row: Rows[N], index?: string): Key | null {
  const paths = pathsOf(table, index);
  const values = paths.map((path) => (row as unknown as Record<string, unknown>)[path]);
  if (!values.every((value) => typeof value === "string" || typeof value === "number")) return null;
  return values.length === 1 ? (values[0] as string | number) : (values as (string | number)[]);
}

function matches<N extends TableName>(table: N, row: Rows[N], query: Query<N>): boolean {
  const key = indexed(table, row, query.index);
  return key !== null && (query.range === undefined || query.range.includes(key));
}

function nameOf(key: Key): string {
  return JSON.stringify(key);
}
