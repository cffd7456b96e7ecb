import { beforeEach, describe, expect, it } from "vitest";
import { fromHex, hex } from "../wire/bytes";
import { LinkLost } from "../wire/errors";
import { nodePoints } from "../wire/testing/points";
import { vectorFile } from "../wire/testing/vectors";
import { BadAddress } from "./address";
import type { Connection } from "./connection";
import { Dialler } from "./dialling";
import { NoNode, OtherNetwork } from "./errors";
import { KnownNodes, MAX_ADDED, MAX_MET } from "./known-nodes";
import { Nodes, OWN_SILENT_MS, RECENT_FAILURE_MS, STAGGER_MS } from "./nodes";
import { VirtualClock } from "./testing/clock";
import { FakeNetwork, type FakeNode, NETWORK_ID } from "./testing/fake-node";
import { MemoryNodeStore } from "./testing/node-store";

const HERE = "https://here.example";

let clock: VirtualClock;
let network: FakeNetwork;
let store: MemoryNodeStore;
let known: KnownNodes;
let nodes: Nodes;
let here: FakeNode;
let far: FakeNode;
let away: FakeNode;

async function start(): Promise<void> {
  known = await KnownNodes.load(store, clock, HERE);
  const dialler = new Dialler(
    network.opener("websocket"),
    network.opener("polling"),
    clock,
    () => 0.5,
  );
  const random = () => 0.5;
  nodes = new Nodes({ dial: dialler.dial, clock, random, known, store, points: nodePoints });
}

beforeEach(async () => {
  clock = new VirtualClock();
  network = new FakeNetwork(clock);
  store = new MemoryNodeStore();
  here = network.add(HERE);
  far = network.add("https://far.example");
  away = network.add("https://away.example");
  await start();
});

const meetBoth = () =>
  known.met([far, away].map((node) => ({ origin: node.address.origin, nodeId: node.nodeId })));

async function taken(work: Promise<Connection>, milliseconds = 0): Promise<string> {
  work.catch(() => {});
  await clock.advance(milliseconds);
  const connection = await work;
  connection.close();
  return connection.address.origin;
}

describe("until a node is added, or the page's own one failed", () => {
  beforeEach(meetBoth);

  it("nothing but the page's origin is dialled, whatever it is for", async () => {
    expect(await taken(nodes.connect())).toBe(HERE);
    expect(await taken(nodes.connect(here.nodeId), 60_000)).toBe(HERE);
    expect(nodes.others(here.nodeId)).toBe(false);
    expect(network.origins).toEqual([HERE]);
  });

  it("a slow answer is waited for", async () => {
    here.manner = { websocket: "silent", polling: "silent" };
    const connecting = nodes.connect();
    await clock.advance(OWN_SILENT_MS - 1);
    expect(network.origins).toEqual([HERE]);
    await clock.advance(1);
    expect((await connecting).address.origin).not.toBe(HERE);
    expect(here.up).toHaveLength(0);
  });

  it("a refused connection is a failure at once", async () => {
    here.kill();
    expect(await taken(nodes.connect())).not.toBe(HERE);
    expect(network.origins[0]).toBe(HERE);
  });

  it("a node that broke is passed over, and comes back", async () => {
    const connection = await nodes.connect();
    here.kill();
    await nodes.failed(connection.address, connection.lost!);
    network.dialled.length = 0;
    expect(nodes.others(here.nodeId)).toBe(true);
    expect(await taken(nodes.connect())).not.toBe(HERE);
    expect(network.origins).not.toContain(HERE);
    here.manner = { websocket: "speaks", polling: "speaks" };
    await clock.advance(RECENT_FAILURE_MS);
    expect(await taken(nodes.connect())).toBe(HERE);
  });
});

describe("for what one node said is stored", () => {
  beforeEach(async () => {
    await meetBoth();
    await taken(nodes.connect());
    network.dialled.length = 0;
  });

  const elsewhere = async (without: string, avoid: Uint8Array | null = null) => {
    const connecting = nodes.connectElsewhere(without, avoid);
    await clock.advance(10 * STAGGER_MS);
    const connection = await connecting;
    connection?.close();
    return connection?.address.origin ?? null;
  };

  it("any other one is dialled, those that were met as well", async () => {
    const found = await elsewhere(hex(here.nodeId));
    expect(["https://far.example", "https://away.example"]).toContain(found);
    expect(network.origins).not.toContain(HERE);
  });

  it("the one that collects only where there is no third", async () => {
    expect(await elsewhere(hex(here.nodeId), far.nodeId)).toBe("https://away.example");
    away.kill();
    expect(await elsewhere(hex(here.nodeId), far.nodeId)).toBe("https://far.example");
  });

  it("none where all others are gone, and nobody is asked twice", async () => {
    far.kill();
    away.kill();
    expect(await elsewhere(hex(here.nodeId))).toBeNull();
    expect(network.origins).not.toContain(HERE);
  });

  it("a second name of the same node is not another node", async () => {
    far.kill();
    away.nodeId.set(here.nodeId);
    expect(await elsewhere(hex(here.nodeId))).toBeNull();
  });
});

describe("with a node that the user added", () => {
  beforeEach(async () => {
    await nodes.add("wss://far.example/");
    await known.met([{ origin: away.address.origin, nodeId: away.nodeId }]);
    network.dialled.length = 0;
  });

  it("the page's own one is still first", async () => {
    expect(await taken(nodes.connect())).toBe(HERE);
    expect(network.origins).toEqual([HERE]);
  });

  it("another one carries the outbox", async () => {
    await nodes.connect();
    expect(await taken(nodes.connect(here.nodeId))).toBe("https://far.example");
    expect(nodes.others(here.nodeId)).toBe(true);
  });

  it("the chosen one is first", async () => {
    nodes.prefer("https://far.example");
    expect(await taken(nodes.connect())).toBe("https://far.example");
    nodes.prefer(null);
    expect(await taken(nodes.connect())).toBe(HERE);
  });

  it("each silent one costs a quarter of a second", async () => {
    here.manner = { websocket: "silent", polling: "silent" };
    far.manner = { websocket: "silent", polling: "silent" };
    const start = clock.now();
    expect(await taken(nodes.connect(), 2 * STAGGER_MS)).toBe("https://away.example");
    expect(network.dialled.map((dial) => dial.atMs - start)).toEqual([0, STAGGER_MS, 500]);
    expect(here.up).toHaveLength(0);
    expect(known.get(HERE)?.lastFailure).toBeNull();
  });

  it("a second name is not a second node", async () => {
    away.nodeId.set(here.nodeId);
    await known.met([{ origin: away.address.origin, nodeId: here.nodeId }]);
    await nodes.connect();
    nodes.prefer("https://away.example");
    expect(await taken(nodes.connect(here.nodeId))).toBe("https://far.example");
  });

  it("it can be removed, the page's own one cannot", async () => {
    await known.remove("https://far.example");
    await known.remove(HERE);
    expect(known.all().map((node) => node.origin)).toEqual([HERE, "https://away.example"]);
    expect([...store.rows.keys()]).toEqual(["https://away.example"]);
  });
});

describe("adding a node", () => {
  it("needs an address that a page can reach", async () => {
    await expect(nodes.add("http://far.example")).rejects.toThrow(BadAddress);
    await expect(nodes.add("far.example")).rejects.toThrow(BadAddress);
    expect(network.dialled).toEqual([]);
  });

  it("needs an answer", async () => {
    far.kill();
    await expect(nodes.add("https://far.example")).rejects.toThrow(NoNode);
    expect(known.get("https://far.example")).toBeUndefined();
  });

  it("needs the same network", async () => {
    await nodes.connect();
    expect(store.network).toEqual(NETWORK_ID);
    far.networkId = new Uint8Array(32);
    await expect(nodes.add("https://far.example")).rejects.toThrow(OtherNetwork);
    expect(known.get("https://far.example")).toBeUndefined();
    expect(far.up).toHaveLength(0);
  });

  it("outlives a reload", async () => {
    await nodes.add("https://far.example");
    await start();
    expect(known.get("https://far.example")?.source).toBe("added");
  });

  it("of a book from another page makes no page's own node of it", async () => {
    await nodes.connect();
    known = await KnownNodes.load(store, clock, "https://far.example");
    const sources = known.all().map((node) => [node.origin, node.source]);
    expect(sources).toEqual([
      [HERE, "met"],
      ["https://far.example", "here"],
    ]);
  });

  it("that was met makes it one that may be chosen", async () => {
    await meetBoth();
    nodes.prefer((await nodes.add("https://away.example")).origin);
    expect(await taken(nodes.connect())).toBe("https://away.example");
  });

  it("has a bound", async () => {
    for (let index = 0; index < MAX_ADDED; index += 1) await known.add(`https://n${index}.example`);
    await expect(known.add("https://more.example")).rejects.toThrow(RangeError);
  });
});

describe("when nobody can be used", () => {
  it("says what the first one said", async () => {
    here.kill();
    await expect(nodes.connect()).rejects.toThrow(/no node could be reached .*refused/);
    expect(known.get(HERE)?.lastFailure).toMatch(/refused/);
    expect(known.views(null, null)[0]?.health).toBe("failing");
  });

  it("says that it is another network", async () => {
    store.network = new Uint8Array(32);
    await expect(nodes.connect()).rejects.toThrow(OtherNetwork);
  });

  it("says that it is the clock", async () => {
    here.clockAheadMs = 48 * 3_600_000;
    await expect(nodes.connect()).rejects.toMatchObject({ code: "clock" });
  });

  it("stops when it is told to", async () => {
    here.manner = { websocket: "silent", polling: "silent" };
    const stop = new AbortController();
    const connecting = nodes.connect(null, stop.signal);
    const failed = expect(connecting).rejects.toThrow("enough");
    await clock.advance(100);
    stop.abort(new Error("enough"));
    await failed;
    expect(here.up).toHaveLength(0);
    expect(clock.pending).toBe(0);
  });
});

describe("what nodes know of others", () => {
  const frozen = vectorFile("wire/frozen.json") as {
    network_id: string;
    node_record: { hex: string; expires_seconds: number };
  };
  const record = fromHex(frozen.node_record.hex);

  beforeEach(async () => {
    clock = new VirtualClock((frozen.node_record.expires_seconds - 60) * 1000);
    network = new FakeNetwork(clock);
    here = network.add(HERE);
    here.networkId = fromHex(frozen.network_id);
    await start();
  });

  it("is remembered when it is signed, and not dialled", async () => {
    const forged = new Uint8Array(record);
    forged[forged.length - 1]! ^= 1;
    here.records = [forged, record];
    await nodes.learn(await nodes.connect());
    expect(known.all().map((node) => [node.origin, node.source])).toEqual([
      [HERE, "here"],
      ["https://node.example", "met"],
    ]);
    expect(network.origins).toEqual([HERE]);
  });

  it("is not remembered when it has expired", async () => {
    const connection = await nodes.connect();
    here.records = [record];
    await clock.advance(60_000);
    await nodes.learn(connection);
    expect(known.all()).toHaveLength(1);
  });

  it("is not remembered when it belongs to another network", async () => {
    here.records = [record];
    store.network = NETWORK_ID;
    here.networkId = NETWORK_ID;
    await start();
    await nodes.learn(await nodes.connect());
    expect(known.all()).toHaveLength(1);
  });

  it("is asked for once in ten minutes", async () => {
    const connection = await nodes.connect();
    const asked = () => here.up[0]!.asked.filter((each) => each.message.kind.number === 281).length;
    await nodes.learn(connection);
    await nodes.learn(connection);
    expect(asked()).toBe(1);
    await clock.advance(600_000);
    await nodes.learn(connection);
    expect(asked()).toBe(2);
  });

  it("has a bound; what was seen last stays", async () => {
    await known.met([{ origin: "https://seen.example", nodeId: new Uint8Array(32) }]);
    await known.reached("https://seen.example", new Uint8Array(32), "tace/1");
    const many = Array.from({ length: MAX_MET }, (_, index) => ({
      origin: `https://n${index}.example`,
      nodeId: new Uint8Array(32),
    }));
    await known.met(many);
    const met = known.all().filter((node) => node.source === "met");
    expect(met).toHaveLength(MAX_MET);
    expect(known.get("https://seen.example")).toBeDefined();
    expect(store.rows.size).toBeLessThanOrEqual(MAX_MET + 1);
  });

  it("does not make less of what the user added", async () => {
    await known.add("https://node.example");
    await known.met([{ origin: "https://node.example", nodeId: new Uint8Array(32) }]);
    expect(known.get("https://node.example")?.source).toBe("added");
  });
});

describe("health", () => {
  it("follows the round trip and the last failure", async () => {
    const health = () => known.views(HERE, null)[0];
    expect(health()).toMatchObject({ health: "unknown", inbox: true, outbox: false });
    const connection = await nodes.connect();
    await nodes.measure(connection);
    expect(health()).toMatchObject({ health: "good", roundTripMs: 0, software: "tace/1.0.0" });
    for (let turn = 0; turn < 20; turn += 1) await known.measured(HERE, 4_000);
    expect(health()?.health).toBe("slow");
    await nodes.failed(connection.address, new LinkLost("gone"));
    expect(health()).toMatchObject({ health: "failing", lastFailure: "gone" });
  });
});

describe("after an absence", () => {
  it("it is told before the first node is used, once", async () => {
    let told = 0;
    const dialler = new Dialler(
      network.opener("websocket"),
      network.opener("polling"),
      clock,
      () => 0.5,
    );
    const returning = new Nodes({
      dial: dialler.dial,
      clock,
      random: () => 0.5,
      known,
      store,
      points: nodePoints,
      absentMs: 3_600_000,
      returned: async () => {
        told += 1;
      },
    });
    // Whoever has met none yet has not been away.
    for (const [hours, count] of [
      [0, 0],
      [0.9, 0],
      [1, 1],
      [0, 1],
    ] as const) {
      await clock.advance(hours * 3_600_000);
      (await returning.connect()).close();
      expect(told, `${hours} h`).toBe(count);
    }
  });
});
