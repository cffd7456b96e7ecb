import { openDB } from "idb";
import { expect, test } from "vitest";
import { Database, NewerDatabase, NotOwner } from "./database";
import { nextSequence } from "./meta";
import { dueParcels, isAnyDue, nextDueMs, type Offered, parcelsOf } from "./outbox";
import type { OutgoingRow, ParcelRow } from "./rows";
import { pathsOf, tableNames } from "./schema";
import { databaseName, emptyDatabase } from "./testing/database";

function outgoing(seq: number, more: Partial<OutgoingRow> = {}): OutgoingRow {
  return {
    seq,
    id: `id${seq}`,
    peer: "ada",
    device: null,
    message: null,
    content: new Uint8Array([seq]),
    writtenMs: 0,
    expiresHours: 10,
    upload: null,
    addressed: 0,
    ...more,
  };
}

test("what a change put is on the disk, all of it", async () => {
  const name = databaseName();
  const first = await emptyDatabase(name);
  await first.change(async (change) => {
    change.put("outgoing", outgoing(1));
    change.put("meta", { name: "name", value: "Ada" });
  });
  first.close();
  const again = await Database.open(name);
  expect(await again.reader.get("outgoing", 1)).toEqual(outgoing(1));
  expect(await again.reader.get("meta", "name")).toEqual({ name: "name", value: "Ada" });
});

test("a change that fails leaves nothing", async () => {
  const database = await emptyDatabase();
  const failing = database.change(async (change) => {
    change.put("outgoing", outgoing(1));
    throw new Error("in the middle");
  });
  await expect(failing).rejects.toThrow("in the middle");
  expect(await database.reader.all("outgoing")).toEqual([]);
});

test("a change reads what it wrote over what is on the disk", async () => {
  const database = await emptyDatabase();
  await database.change(async (change) => {
    for (const seq of [1, 2, 3, 4]) change.put("outgoing", outgoing(seq));
  });
  await database.change(async (change) => {
    change.remove("outgoing", 1);
    change.put("outgoing", outgoing(2, { peer: "bob" }));
    change.put("outgoing", outgoing(5));
    const range = IDBKeyRange.only("ada");
    const seqs = async (query: { limit?: number; reverse?: boolean }) =>
      (await change.all("outgoing", { index: "byPeer", range, ...query })).map((row) => row.seq);
    expect(await seqs({})).toEqual([3, 4, 5]);
    expect(await seqs({ limit: 2 })).toEqual([3, 4]);
    expect(await seqs({ limit: 2, reverse: true })).toEqual([5, 4]);
    expect(await change.keys("outgoing")).toEqual([2, 3, 4, 5]);
    expect(await change.get("outgoing", 1)).toBeUndefined();
    // Nothing of it is on the disk yet.
    expect(await database.reader.keys("outgoing")).toEqual([1, 2, 3, 4]);
  });
  expect(await database.reader.keys("outgoing")).toEqual([2, 3, 4, 5]);
});

test("changes wait for each other, so that none is lost", async () => {
  const database = await emptyDatabase();
  const numbers = await Promise.all(
    Array.from({ length: 20 }, () => database.change((change) => nextSequence(change))),
  );
  expect(new Set(numbers).size).toBe(20);
  expect(Math.max(...numbers)).toBe(20);
});

test("who owned the database before cannot write any more", async () => {
  const name = databaseName();
  const first = await emptyDatabase(name);
  const second = await emptyDatabase(name);
  const late = first.change(async (change) => change.put("outgoing", outgoing(1)));
  await expect(late).rejects.toBeInstanceOf(NotOwner);
  await second.change(async (change) => change.put("outgoing", outgoing(2)));
  expect(await second.reader.keys("outgoing")).toEqual([2]);
});

test("forgetting everything keeps who owns it", async () => {
  const database = await emptyDatabase();
  await database.change(async (change) => change.put("outgoing", outgoing(1)));
  await database.clear();
  expect(await database.reader.all("outgoing")).toEqual([]);
  await database.change(async (change) => change.put("outgoing", outgoing(2)));
  expect(await database.reader.keys("outgoing")).toEqual([2]);
});

test("a database of a newer version is left alone", async () => {
  const name = databaseName();
  await new Promise<void>((resolve, reject) => {
    const request = indexedDB.open(name, 99);
    request.onerror = () => reject(request.error);
    request.onsuccess = () => {
      request.result.close();
      resolve();
    };
  });
  await expect(Database.open(name)).rejects.toBeInstanceOf(NewerDatabase);
});

test("an outbox of an earlier version goes on", async () => {
  const name = databaseName();
  const parcel = (seq: number, more: Partial<ParcelRow>): ParcelRow => ({
    seq,
    outgoing: seq,
    device: "d",
    envelopeId: `${seq}`,
    envelope: new Uint8Array([seq]),
    stamped: 0,
    state: "waiting",
    copies: 0,
    replicas: 0,
    attempts: 0,
    nextMs: 5,
    refusal: null,
    ...more,
  });
  const rows = [
    parcel(1, { state: "stored", nextMs: 3 }),
    parcel(2, { stamped: 1 }),
    parcel(3, {}),
    parcel(4, { state: "acked", nextMs: null }),
  ];
  // As version 1 made it, as far as it differs.
  const before = await openDB(name, 1, {
    upgrade: (database) => {
      for (const table of tableNames()) {
        if (table === "parcel") continue;
        const [path = "", ...more] = pathsOf(table);
        database.createObjectStore(table, { keyPath: more.length ? [path, ...more] : path });
      }
      const parcels = database.createObjectStore("parcel", { keyPath: "seq" });
      parcels.createIndex("byOutgoing", "outgoing");
      parcels.createIndex("due", ["stamped", "nextMs"]);
    },
  });
  for (const row of rows) await before.put("parcel", row);
  before.close();
  const database = await Database.open(name);
  const { reader } = database;
  const seqs = async (state: Offered, nowMs: number, limit = 9) =>
    (await dueParcels(reader, state, nowMs, limit)).map((row) => row.seq);
  expect(await parcelsOf(reader, 1)).toEqual([rows[0]]);
  expect(await nextDueMs(reader)).toBe(3);
  expect([await isAnyDue(reader, 2), await isAnyDue(reader, 3)]).toEqual([false, true]);
  expect([await seqs("waiting", 4), await seqs("stored", 4)]).toEqual([[], [1]]);
  expect([await seqs("waiting", 5), await seqs("waiting", 5, 1)]).toEqual([[3, 2], [3]]);
  database.close();
});
