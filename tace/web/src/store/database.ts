/**
 * The one database of this origin: every change in one strict transaction, one change at a time.
 *
 * All tabs read it. Only the tab that owns it writes: it takes an ownership number when it begins
 * (`own`), and a change by a former owner, whose tab was asleep for a while, is refused.
 */

import { type IDBPDatabase, openDB } from "idb";
import { Change, type Reader, Snapshot } from "./change";
import { DATABASE_VERSION, tableNames, upgrade } from "./schema";
import { Turns } from "./turns";

const OWNER = "owner";

/** Another tab owns the database by now; nothing was written. */
export class NotOwner extends Error {
  constructor() {
    super("another tab owns the database");
  }
}

/** A database of a newer version lies there already. */
export class NewerDatabase extends Error {
  constructor() {
    super("the database was written by a newer version");
  }
}

/** IndexedDB is not to be had, or gave up. */
export class NoDatabase extends Error {
  constructor(cause: unknown) {
    super("the browser gives no database", { cause });
  }
}

export class Database {
  readonly reader: Reader;
  private readonly turns = new Turns();
  private ownership: number | null = null;
  private isClosed = false;

  private constructor(private readonly opened: IDBPDatabase) {
    this.reader = new Snapshot(opened);
  }

  /**
   * @param gone told when the database is taken away: another tab has a newer version, or the
   *   browser cleans it up.
   * @throws NewerDatabase, NoDatabase
   */
  static async open(
    name: string,
    gone: (why: "newer" | "lost") => void = () => {},
  ): Promise<Database> {
    let database: Database | null = null;
    try {
      const opened = await openDB(name, DATABASE_VERSION, {
        upgrade: (database, from, _to, transaction) => upgrade(database, from, transaction),
        blocking: (_current, _blocked, event) => {
          (event.target as IDBDatabase).close();
          // What fails from now on fails because another one owns it.
          database?.close();
          gone("newer");
        },
        terminated: () => {
          database?.close();
          gone("lost");
        },
      });
      database = new Database(opened);
      return database;
    } catch (error) {
      if (error instanceof DOMException && error.name === "VersionError") throw new NewerDatabase();
      throw new NoDatabase(error);
    }
  }

  /** From now on this is the one that writes. */
  async own(): Promise<number> {
    const transaction = this.opened.transaction("meta", "readwrite", { durability: "strict" });
    const found = (await transaction.store.get(OWNER)) as { value: number } | undefined;
    const ownership = (found?.value ?? 0) + 1;
    await transaction.store.put({ name: OWNER, value: ownership });
    await transaction.done;
    this.ownership = ownership;
    return ownership;
  }

  /**
   * Work out a change and write it: all or nothing, on the disk when this returns.
   *
   * Changes wait for each other, so what one has read is still so when it is written. One inside
   * another would wait for ever: pass the change on.
   *
   * @throws NotOwner another tab owns it by now.
   */
  async change<T>(work: (change: Change) => Promise<T>): Promise<T> {
    return await this.turns.run(async () => {
      const change = new Change(this.reader);
      try {
        const result = await work(change);
        await this.write(change);
        return result;
      } catch (error) {
        // A database that was closed in the middle is somebody else's by now.
        throw this.isClosed ? new NotOwner() : error;
      }
    });
  }

  /** Forget everything; what owns it goes on owning it. */
  async clear(): Promise<void> {
    await this.turns.run(async () => {
      const names = tableNames();
      const transaction = this.opened.transaction(names, "readwrite", { durability: "strict" });
      for (const name of names) {
        if (name !== "meta") void transaction.objectStore(name).clear();
      }
      const meta = transaction.objectStore("meta");
      const kept = await meta.get(OWNER);
      await meta.clear();
      if (kept) await meta.put(kept);
      await transaction.done;
    });
  }

  close(): void {
    this.isClosed = true;
    this.opened.close();
  }

  get closed(): boolean {
    return this.isClosed;
  }

  private async write(change: Change): Promise<void> {
    const writes = change.writes();
    if (!writes.length) return;
    const names = [...new Set(writes.map((write) => write.table)), "meta"];
    const transaction = this.opened.transaction(names, "readwrite", { durability: "strict" });
    // A request that fails ends the transaction, and that is what is waited for.
    const done = transaction.done;
    const owner = (await transaction.objectStore("meta").get(OWNER)) as
      | { value: number }
      | undefined;
    if (this.ownership === null || owner?.value !== this.ownership) {
      transaction.abort();
      await done.catch(() => undefined);
      throw new NotOwner();
    }
    for (const { table, key, row } of writes) {
      const store = transaction.objectStore(table);
      const request = row === null ? store.delete(key) : store.put(row);
      request.catch(() => undefined);
    }
    await done;
  }
}
