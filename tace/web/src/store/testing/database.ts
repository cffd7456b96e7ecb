import "fake-indexeddb/auto";
import { Database } from "../database";

let made = 0;

/** A name that no other test uses. */
export function databaseName(): string {
  made += 1;
  return `test ${made}`;
}

/** An empty database that is owned. */
export async function emptyDatabase(name = databaseName()): Promise<Database> {
  const database = await Database.open(name);
  await database.own();
  return database;
}
