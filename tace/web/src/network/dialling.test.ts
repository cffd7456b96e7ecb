import { beforeEach, describe, expect, it } from "vitest";
import { LinkLost } from "../wire/errors";
import { Dialler, POLLING_AFTER_MS } from "./dialling";
import { VirtualClock } from "./testing/clock";
import { FakeNetwork, type FakeNode } from "./testing/fake-node";

let clock: VirtualClock;
let network: FakeNetwork;
let node: FakeNode;
let dialler: Dialler;

beforeEach(() => {
  clock = new VirtualClock();
  network = new FakeNetwork(clock);
  node = network.add("https://node.example");
  dialler = new Dialler(network.opener("websocket"), network.opener("polling"), clock, () => 0.5);
});

const carriers = () => network.dialled.map((dial) => dial.carrier);

describe("dialling", () => {
  it("takes a WebSocket, and asks for nothing else", async () => {
    const connection = await dialler.dial(node.address);
    expect(connection.carrier).toBe("websocket");
    await clock.advance(POLLING_AFTER_MS);
    expect(carriers()).toEqual(["websocket"]);
  });

  it("polls where the WebSocket is refused", async () => {
    node.manner.websocket = "refuses";
    const connection = await dialler.dial(node.address);
    expect(connection.carrier).toBe("polling");
    expect(network.dialled[1]?.atMs).toBe(network.dialled[0]?.atMs);
  });

  it("polls where the WebSocket is silent, and lets go of it", async () => {
    node.manner.websocket = "silent";
    const dialled = dialler.dial(node.address);
    await clock.advance(POLLING_AFTER_MS);
    expect((await dialled).carrier).toBe("polling");
    expect(node.up.map((link) => link.carrier)).toEqual(["polling"]);
  });

  it("asks a blocked node by polling first, for a while", async () => {
    node.manner.websocket = "refuses";
    await dialler.dial(node.address);
    network.dialled.length = 0;
    await dialler.dial(node.address);
    expect(carriers()).toEqual(["polling"]);
    await clock.advance(30_000);
    await dialler.dial(node.address);
    expect(carriers()).toEqual(["polling", "websocket", "polling"]);
    network.dialled.length = 0;
    dialler.forgetBlocked();
    await dialler.dial(node.address);
    expect(carriers()[0]).toBe("websocket");
  });

  it("falls back the other way too", async () => {
    node.manner.websocket = "refuses";
    await dialler.dial(node.address);
    node.manner = { websocket: "speaks", polling: "refuses" };
    expect((await dialler.dial(node.address)).carrier).toBe("websocket");
  });

  it("does not ask twice a node that said why not", async () => {
    node.refusal = "draining";
    await expect(dialler.dial(node.address)).rejects.toMatchObject({ code: "draining" });
    expect(carriers()).toEqual(["websocket"]);
  });

  it("fails when neither works", async () => {
    node.kill();
    await expect(dialler.dial(node.address)).rejects.toThrow(LinkLost);
    expect(clock.pending).toBe(0);
  });

  it("stops when it is told to", async () => {
    node.manner = { websocket: "silent", polling: "silent" };
    const stop = new AbortController();
    const dialled = dialler.dial(node.address, stop.signal);
    const failed = expect(dialled).rejects.toThrow("enough");
    await clock.advance(POLLING_AFTER_MS);
    expect(node.up).toHaveLength(2);
    stop.abort(new Error("enough"));
    await failed;
    expect(node.up).toHaveLength(0);
    expect(clock.pending).toBe(0);
  });
});

describe("back to WebSocket", () => {
  it("is tried ever more seldom, until one opens", async () => {
    node.manner.websocket = "refuses";
    await dialler.dial(node.address);
    network.dialled.length = 0;
    const start = clock.now();
    const again = dialler.webSocketAgain(node.address, new AbortController().signal);
    await clock.advance(3_600_000);
    const seconds = network.dialled.map((dial) => (dial.atMs - start) / 1000);
    expect(seconds.slice(0, 7)).toEqual([30, 90, 210, 450, 930, 1530, 2130]);
    node.manner.websocket = "speaks";
    await clock.advance(600_000);
    expect((await again).carrier).toBe("websocket");
    network.dialled.length = 0;
    await dialler.dial(node.address);
    expect(carriers()).toEqual(["websocket"]);
  });

  it("stops when it is told to", async () => {
    node.manner.websocket = "silent";
    const stop = new AbortController();
    const again = dialler.webSocketAgain(node.address, stop.signal);
    const failed = expect(again).rejects.toThrow("enough");
    await clock.advance(31_000);
    expect(node.up).toHaveLength(1);
    stop.abort(new Error("enough"));
    await failed;
    expect(node.up).toHaveLength(0);
    expect(clock.pending).toBe(0);
  });
});
