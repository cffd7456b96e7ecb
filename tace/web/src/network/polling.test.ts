import { beforeEach, describe, expect, it } from "vitest";
import {
  CaughtUp,
  Challenge,
  ClientPing,
  Defer,
  encodeClientMessage,
  Push,
  Send,
} from "../wire/client";
import { ProtocolError } from "../wire/errors";
import { MAX_BODY_BYTES, splitFrames } from "../wire/frames";
import { NodeAddress } from "./address";
import { Connection, QUIET_MS } from "./connection";
import { MAX_ANSWER_BYTES } from "./http-session";
import { pollingTransport } from "./polling";
import { settle, VirtualClock } from "./testing/clock";
import { FakeHttpNode } from "./testing/fake-http";

const address = NodeAddress.parse("https://node.example");
let clock: VirtualClock;
let node: FakeHttpNode;
let connection: Connection;
let pushed: number[];

beforeEach(() => {
  clock = new VirtualClock();
  const challenge = encodeClientMessage(
    Challenge,
    {
      challenge: new Uint8Array(32),
      clockMs: clock.now(),
      networkId: new Uint8Array(32),
      nodeId: new Uint8Array(32),
      names: [address.origin],
      versions: [1],
      software: "tace/1.0.0",
      requestsStampBits: 18,
      maxLifetimeHours: 720,
      requestsInFlight: 64,
    },
    0,
  );
  node = new FakeHttpNode(clock, challenge);
  pushed = [];
});

async function open(): Promise<void> {
  connection = new Connection(address, pollingTransport(node.fetch, clock), clock);
  connection.events = {
    onPush: (envelope) => pushed.push(envelope[0]!),
    onCaughtUp: () => pushed.push(-1),
    onLost: () => pushed.push(-2),
  };
  await connection.opened;
  await settle();
}

const push = (first: number) =>
  encodeClientMessage(Push, { envelope: new Uint8Array(3630).fill(first) }, 0);
const polls = () => node.requests.flatMap(({ headers }) => Number(headers.get("tace-poll")) || []);

describe("long polling", () => {
  it("opens a session and waits", async () => {
    await open();
    expect(connection.carrier).toBe("polling");
    expect(node.paths).toEqual(["POST /v1/session", "GET /v1/poll"]);
    await clock.advance(25_000);
    expect(polls()).toEqual([1, 2]);
    expect(connection.lost).toBeNull();
  });

  it("asks, and hears what is pushed", async () => {
    await open();
    await connection.ping();
    node.push(push(7));
    await settle();
    node.push(push(8));
    await settle();
    expect(pushed).toEqual([7, 8]);
    expect(polls()).toEqual([1, 2, 3]);
  });

  it("sends what is said in one turn in one request", async () => {
    await open();
    await Promise.all([connection.ping(), connection.ping(), connection.ping()]);
    const exchanges = node.requests.filter((request) => request.path === "/v1/exchange");
    expect(exchanges.map((exchange) => splitFrames(exchange.body).length)).toEqual([3]);
  });

  it("has two exchanges under way at most, each within its bounds", async () => {
    await open();
    node.holding = true;
    const envelopes = Array.from({ length: 16 }, () => new Uint8Array(3630));
    const sends = Array.from({ length: 5 }, () => connection.request(Send, { envelopes }));
    for (const each of sends) each.catch(() => {});
    await settle();
    const exchanges = () => node.requests.filter((request) => request.path === "/v1/exchange");
    expect(exchanges()).toHaveLength(2);
    node.release();
    await settle();
    expect(exchanges().map((exchange) => splitFrames(exchange.body).length)).toEqual([2, 2, 1]);
    for (const { body } of exchanges()) expect(body.length).toBeLessThanOrEqual(MAX_BODY_BYTES);
    connection.close();
  });

  it("asks again for what got lost, and hears it once", async () => {
    await open();
    node.push(push(1));
    await settle();
    node.mishaps.push("answer lost");
    node.push(encodeClientMessage(CaughtUp, { mailbox: new Uint8Array(32) }, 0));
    await settle();
    // The poll that waited brought it; the next one is lost on its way back.
    node.push(push(2));
    await clock.advance(250);
    expect(pushed).toEqual([1, -1, 2]);
    expect(polls()).toEqual([1, 2, 3, 3, 4]);
  });

  it("bears a gateway's error page for a moment, and not for ever", async () => {
    await open();
    node.mishaps.push(502, 503);
    const asked = connection.ping();
    await clock.advance(1_250);
    await asked;
    node.mishaps.push(502, 502, 502, 502);
    const refused = connection.ping();
    const failed = expect(refused).rejects.toMatchObject({ code: "link-lost" });
    await clock.advance(3_250);
    await failed;
    expect(pushed).toEqual([-2]);
  });

  it("a poll without an answer is given up and asked again", async () => {
    let hang = true;
    const hanging = (url: string, init: RequestInit) =>
      url.endsWith("/poll") && hang
        ? new Promise<Response>((_, reject) => {
            init.signal?.addEventListener("abort", () => reject(init.signal?.reason));
          })
        : node.fetch(url, init);
    connection = new Connection(address, pollingTransport(hanging, clock), clock);
    await connection.opened;
    hang = false;
    await clock.advance(35_249);
    expect(polls()).toEqual([]);
    await clock.advance(1);
    expect(polls()).toEqual([1]);
    connection.close();
  });

  it("pings after silence like any connection", async () => {
    await open();
    await clock.advance(QUIET_MS);
    expect(node.paths.at(-1)).toBe("POST /v1/exchange");
    await clock.advance(10 * QUIET_MS);
    expect(connection.lost).toBeNull();
  });
});

describe("the end of a session", () => {
  it("is said by the node", async () => {
    await open();
    node.ended = true;
    await expect(connection.request(ClientPing, {})).rejects.toMatchObject({
      code: "unauthorized",
    });
    await settle();
    expect(clock.pending).toBe(1); // the fake node's own, of the poll that waited
  });

  it("is told to the node", async () => {
    await open();
    connection.close();
    await settle();
    expect(node.ended).toBe(true);
    expect(node.paths.at(-1)).toBe("DELETE /v1/session");
  });

  it.each<[string, () => Response]>([
    ["no session is named", () => new Response(new Uint8Array())],
    ["the frames do not fit", () => new Response("nonsense")],
    ["the answer has no end", () => new Response(new Uint8Array(MAX_ANSWER_BYTES + 1))],
  ])("comes at once when %s", async (_, answer) => {
    const fetch = async () => answer();
    const broken = new Connection(address, pollingTransport(fetch, clock), clock);
    await expect(broken.opened).rejects.toThrow(ProtocolError);
    expect(clock.pending).toBe(0);
  });

  it("comes when the node does not keep up", async () => {
    await open();
    for (let index = 0; index <= 256; index += 1) connection.tell(Defer, { ids: [] });
    expect(connection.lost?.message).toBe("the node does not keep up");
  });
});
