import { beforeEach, describe, expect, it } from "vitest";
import {
  CaughtUp,
  Challenge,
  ClientDone,
  ClientPing,
  ClientPong,
  ClientRefused,
  Defer,
  encodeClientMessage,
  FindRecord,
  GetStatus,
  Push,
} from "../wire/client";
import { LinkLost, ProtocolError, Refusal, type TaceError, TimedOut } from "../wire/errors";
import { ANSWER_MS, Connection, OPENING_MS, PONG_MS, QUIET_MS } from "./connection";
import { ClockDiffers, OtherVersion, TooMuchWork } from "./errors";
import { settle, VirtualClock } from "./testing/clock";
import { type FakeLink, FakeNetwork, type FakeNode } from "./testing/fake-node";

const DAY_MS = 24 * 3_600_000;

let clock: VirtualClock;
let network: FakeNetwork;
let node: FakeNode;

function dial(): { connection: Connection; link: FakeLink } {
  const connection = new Connection(node.address, network.opener("websocket"), clock);
  return { connection, link: node.links.at(-1)! };
}

async function connected(): Promise<{ connection: Connection; link: FakeLink }> {
  const dialled = dial();
  await dialled.connection.opened;
  return dialled;
}

beforeEach(() => {
  clock = new VirtualClock();
  network = new FakeNetwork(clock);
  node = network.add("https://node.example");
});

describe("opening", () => {
  it("the node speaks first", async () => {
    const { connection } = dial();
    expect(() => connection.challenge).toThrow("has not spoken");
    expect((await connection.opened).software).toBe("tace/1.0.0");
    expect(connection.carrier).toBe("websocket");
    expect(connection.mayLease).toBe(true);
  });

  it("a node that goes by another name gets no lease", async () => {
    node.names = ["https://other.example"];
    expect((await connected()).connection.mayLease).toBe(false);
  });

  it("silence ends it after five seconds", async () => {
    node.manner.websocket = "silent";
    const { connection, link } = dial();
    await clock.advance(OPENING_MS - 1);
    expect(connection.lost).toBeNull();
    await clock.advance(1);
    await expect(connection.opened).rejects.toThrow(TimedOut);
    expect(link.closed).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it("a refusal first is the reason", async () => {
    node.refusal = "draining";
    await expect(dial().connection.opened).rejects.toMatchObject({ code: "draining" });
  });

  it("anything else first breaks the protocol", async () => {
    node.manner.websocket = "silent";
    const { connection, link } = dial();
    link.say(ClientDone, {});
    await expect(connection.opened).rejects.toThrow(ProtocolError);
  });

  it.each<[string, (node: FakeNode) => void, new (...args: never[]) => TaceError]>([
    ["a clock a day ahead", (node) => (node.clockAheadMs = DAY_MS + 1), ClockDiffers],
    ["a clock a day behind", (node) => (node.clockAheadMs = -DAY_MS - 1), ClockDiffers],
    ["no version in common", (node) => (node.versions = [2, 3]), OtherVersion],
    ["no version", (node) => (node.versions = []), OtherVersion],
    ["stamps of 25 bits", (node) => (node.stampBits = 25), TooMuchWork],
  ])("%s: it leaves", async (_, change, error) => {
    change(node);
    const { connection, link } = dial();
    await expect(connection.opened).rejects.toThrow(error);
    expect(link.closed).toBe(true);
  });

  it("what is just in bounds is taken", async () => {
    Object.assign(node, { clockAheadMs: DAY_MS, versions: [7, 1], stampBits: 24 });
    const { connection } = await connected();
    expect(connection.nodeNow).toBe(clock.now() + DAY_MS);
  });
});

describe("requests", () => {
  beforeEach(() => {
    node.answers = false;
  });

  it("answers find their requests, in any order", async () => {
    const { connection, link } = await connected();
    const key = new Uint8Array(32);
    const first = connection.request(FindRecord, { key });
    const second = connection.request(ClientPing, {});
    expect(link.asked.map((each) => each.requestId)).toEqual([1, 2]);
    link.say(ClientPong, { clockMs: clock.now() + 1000 }, 2);
    link.say(ClientRefused, { code: "rate-limited", detail: "slower", retryAfterMs: 7 }, 1);
    await expect(first).rejects.toMatchObject({ code: "rate-limited", retryAfterMs: 7 });
    expect((await second).clockMs).toBe(clock.now() + 1000);
    expect(connection.nodeNow).toBe(clock.now() + 1000);
    expect(connection.lost).toBeNull();
  });

  it("are bounded by the node's word, and by 64 whatever it says", async () => {
    node.requestsInFlight = 2;
    const { connection } = await connected();
    const waiting = [connection.request(ClientPing, {}), connection.request(ClientPing, {})];
    await expect(connection.request(ClientPing, {})).rejects.toMatchObject({ code: "too-many" });
    connection.close();
    for (const each of waiting) await expect(each).rejects.toThrow(LinkLost);

    node.requestsInFlight = 65_535;
    const other = (await connected()).connection;
    const many = Array.from({ length: 64 }, () => other.request(ClientPing, {}));
    for (const each of many) each.catch(() => {});
    await expect(other.request(ClientPing, {})).rejects.toThrow(Refusal);
  });

  it("an answer that nobody waits for is nothing", async () => {
    const { connection, link } = await connected();
    link.say(ClientDone, {}, 99);
    expect(connection.lost).toBeNull();
  });

  it("the wrong answer ends it", async () => {
    const { connection, link } = await connected();
    const asked = connection.request(ClientPing, {});
    link.say(ClientDone, {}, 1);
    await expect(asked).rejects.toThrow("ClientDone instead of ClientPong");
    expect(connection.lost).toBeInstanceOf(ProtocolError);
  });

  it("no answer in ten seconds ends it", async () => {
    const { connection, link } = await connected();
    const asked = connection.request(GetStatus, {});
    asked.catch(() => {});
    await clock.advance(ANSWER_MS);
    await expect(asked).rejects.toThrow(TimedOut);
    expect(link.closed).toBe(true);
    expect(clock.pending).toBe(0);
    await expect(connection.request(GetStatus, {})).rejects.toThrow(LinkLost);
  });

  it("the round trip is smoothed", async () => {
    const { connection, link } = await connected();
    for (const [index, milliseconds] of [80, 160].entries()) {
      const asked = connection.ping();
      await clock.advance(milliseconds);
      link.say(ClientPong, { clockMs: clock.now() }, index + 1);
      await asked;
    }
    expect(connection.roundTripMs).toBe(90);
  });

  it("what is told has no answer", async () => {
    const { connection, link } = await connected();
    connection.tell(Defer, { ids: [] });
    expect(link.asked[0]?.requestId).toBe(0);
    connection.close();
    connection.tell(Defer, { ids: [] });
    expect(link.asked).toHaveLength(1);
  });
});

describe("what comes unasked", () => {
  it("is told to the listener", async () => {
    const { connection, link } = await connected();
    const told: unknown[] = [];
    connection.events = {
      onPush: (envelope) => told.push(envelope.length),
      onCaughtUp: (mailbox, complete) => told.push([mailbox[0], complete]),
      onLost: (reason) => told.push(reason.code),
    };
    link.say(Push, { envelope: new Uint8Array(3630) });
    link.say(CaughtUp, { mailbox: new Uint8Array(32).fill(5), complete: false });
    link.say(ClientRefused, { code: "unauthorized" });
    link.say(Push, { envelope: new Uint8Array(3630) });
    expect(told).toEqual([3630, [5, false], "unauthorized"]);
  });

  it("a message of a newer version is nothing", async () => {
    const { connection, link } = await connected();
    link.deliver(Uint8Array.of(0x03, 0xe7, 0, 0, 0, 0, 0x90));
    expect(connection.lost).toBeNull();
  });

  it.each<[string, Uint8Array]>([
    ["nothing", new Uint8Array()],
    ["garbage", Uint8Array.of(1, 1, 0, 0, 0, 0, 0xc1)],
    ["an answer to nothing", encodeClientMessage(ClientDone, {}, 0)],
  ])("%s ends it", async (_, data) => {
    const { connection, link } = await connected();
    link.deliver(data);
    expect(connection.lost).toBeInstanceOf(ProtocolError);
    expect(link.closed).toBe(true);
  });

  it("a second challenge ends it", async () => {
    const { connection, link } = await connected();
    link.say(Challenge, connection.challenge);
    expect(connection.lost).toBeInstanceOf(ProtocolError);
  });

  it("the end fails what waits, with its reason", async () => {
    node.answers = false;
    const { connection, link } = await connected();
    const ended: string[] = [];
    connection.whenLost(() => ended.push("kept"));
    connection.whenLost(() => ended.push("taken back"))();
    const asked = connection.request(GetStatus, {});
    link.say(ClientRefused, { code: "draining" });
    await expect(asked).rejects.toMatchObject({ code: "draining" });
    connection.whenLost(() => ended.push("late"));
    expect(ended).toEqual(["kept", "late"]);
  });
});

describe("silence", () => {
  it("is broken by a ping, and an answer is enough", async () => {
    const { connection, link } = await connected();
    await clock.advance(QUIET_MS - 1);
    expect(link.asked).toHaveLength(0);
    await clock.advance(1);
    expect(link.asked).toHaveLength(1);
    await clock.advance(10 * QUIET_MS);
    expect(connection.lost).toBeNull();
  });

  it("after a ping ends it in five seconds", async () => {
    const { connection } = await connected();
    node.answers = false;
    await clock.advance(QUIET_MS + PONG_MS - 1);
    expect(connection.lost).toBeNull();
    await clock.advance(1);
    expect(connection.lost).toBeInstanceOf(TimedOut);
    expect(clock.pending).toBe(0);
  });

  it("is none while something comes", async () => {
    const { link } = await connected();
    for (let turn = 0; turn < 5; turn += 1) {
      await clock.advance(QUIET_MS / 2);
      link.say(CaughtUp, { mailbox: new Uint8Array(32) });
    }
    expect(link.asked).toHaveLength(0);
    await settle();
  });
});
