/** Files of one chunk. */

import { afterEach, beforeEach, expect, test } from "vitest";
import { MAX_FILE_BYTES } from "./files";
import { ELSEWHERE, type Person, World } from "./testing/engines";

let world: World;
let ada: Person;
let bob: Person;

beforeEach(async () => {
  world = new World();
  [ada, bob] = await world.pair();
});

afterEach(async () => {
  await world.close();
});

const ID = "fe".repeat(16);
const bytes = Uint8Array.from({ length: 5000 }, (_, at) => at % 251);
const file = { name: "moth\u202egpj.exe", type: "image/webp", bytes };

async function arrived(): Promise<void> {
  await world.until(async () => (await bob.message(ID))?.kind === "file");
}

test("a file is put at the nodes, named in a message, and fetched when it is wanted", async () => {
  await ada.owner.sendFile(bob.identity, ID, file, null);
  expect((await ada.message(ID))?.file).toMatchObject({ state: "here", bytes: 5000 });
  await arrived();
  // Its name has no characters that turn it around.
  expect((await bob.message(ID))?.file).toMatchObject({ name: "mothgpj.exe", state: "remote" });
  await expect(bob.queries.fileBytes(ID)).rejects.toMatchObject({ code: "no-file" });
  await bob.owner.fetchFile(ID);
  expect((await bob.message(ID))?.file?.state).toBe("here");
  expect(await bob.queries.fileBytes(ID)).toEqual(bytes);
});

test("what does not fit one chunk is refused", async () => {
  const large = { ...file, bytes: new Uint8Array(MAX_FILE_BYTES + 1) };
  const sending = ada.owner.sendFile(bob.identity, ID, large, null);
  await expect(sending).rejects.toMatchObject({ code: "too-large" });
  const full = { ...file, bytes: new Uint8Array(MAX_FILE_BYTES).fill(9) };
  await ada.owner.sendFile(bob.identity, ID, full, null);
  await arrived();
  await bob.owner.fetchFile(ID);
  expect(await bob.queries.fileBytes(ID)).toEqual(full.bytes);
});

test("the message waits until a node has taken the file", async () => {
  world.one.faults.refuse = "full";
  await ada.owner.sendFile(bob.identity, ID, file, null);
  await world.pass(20_000);
  expect((await ada.message(ID))?.state).toBe("saved");
  expect(world.network.blobs.size).toBe(0);
  world.one.faults.refuse = null;
  await arrived();
});

test("a file that the nodes have no more, and one that somebody changed", async () => {
  await ada.owner.sendFile(bob.identity, ID, file, null);
  await arrived();
  const [[hash, blob] = ["", new Uint8Array()]] = [...world.network.blobs];
  world.network.blobs.set(hash, blob.with(0, (blob[0] ?? 0) ^ 1));
  await expect(bob.owner.fetchFile(ID)).rejects.toMatchObject({ code: "no-node" });
  expect((await bob.message(ID))?.file?.state).toBe("failed");
  world.network.blobs.clear();
  await bob.owner.fetchFile(ID);
  expect((await bob.message(ID))?.file?.state).toBe("failed");
});

test("a node that is busy is asked again when it says so", async () => {
  await ada.owner.sendFile(bob.identity, ID, file, null);
  await arrived();
  world.one.faults.refuseBlobs = 3;
  const fetching = bob.owner.fetchFile(ID);
  await world.pass(1_500);
  expect(world.one.faults.refuseBlobs).toBe(2);
  await world.pass(10_000);
  await fetching;
  expect(await bob.queries.fileBytes(ID)).toEqual(bytes);
});

test("a node that stays busy is not asked for ever", async () => {
  await ada.owner.sendFile(bob.identity, ID, file, null);
  await arrived();
  world.one.faults.refuseBlobs = 9;
  const fetching = expect(bob.owner.fetchFile(ID)).rejects.toMatchObject({ code: "no-node" });
  await world.pass(180_000);
  await fetching;
  expect(world.one.faults.refuseBlobs).toBe(1);
  expect((await bob.message(ID))?.file?.state).toBe("failed");
});

test("nothing waits for a busy node when the page is closed", async () => {
  await ada.owner.sendFile(bob.identity, ID, file, null);
  await arrived();
  world.one.faults.refuseBlobs = Number.POSITIVE_INFINITY;
  const fetching = expect(bob.owner.fetchFile(ID)).rejects.toBeInstanceOf(Error);
  await world.pass(1_500);
  await bob.owner.close();
  await fetching;
});

test("a file is stamped anew where more is wanted than the node said at first", async () => {
  world.network.stampBits = 6;
  await ada.owner.sendFile(bob.identity, ID, file, null);
  await arrived();
  expect(world.network.blobs.size).toBe(1);
});

test("a file that one node will not take goes to another one", async () => {
  await ada.owner.addNode(ELSEWHERE);
  world.one.faults.refuse = "full";
  await ada.owner.sendFile(bob.identity, ID, file, null);
  await world.until(() => world.network.blobs.size === 1, 20);
  expect(world.one.faults.refuse).toBe("full");
  await arrived();
});

test("the only node there is is not asked to take a file before it wants to be", async () => {
  world.one.faults.refuse = "full";
  world.one.faults.retryAfterMs = 60_000;
  await ada.owner.sendFile(bob.identity, ID, file, null);
  await world.pass(2_000);
  world.one.faults.refuse = null;
  await world.pass(50_000);
  expect(world.network.blobs.size).toBe(0);
  await arrived();
});
