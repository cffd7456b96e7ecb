/**
 * Against a real node: `TACE_LIVE=http://127.0.0.1:PORT npx vitest run src/network/live.test.ts`.
 * On a Node without a WebSocket of its own: `NODE_OPTIONS=--experimental-websocket`.
 */

import { describe, expect, it } from "vitest";
import { type Bytes, hex } from "../wire/bytes";
import { CaughtUp, FindRecord, GetNetwork, GetStatus, Send, StartWatch } from "../wire/client";
import { ProtocolError } from "../wire/errors";
import { parseNodeRecord } from "../wire/node-record";
import { KIND_CONTACTS, lockOf, mailboxId, makeEnvelope } from "../wire/objects";
import { signingPair } from "../wire/testing/keys";
import { nodePoints } from "../wire/testing/points";
import { NodeAddress } from "./address";
import { systemClock } from "./clock";
import { Connection, NO_EVENTS } from "./connection";
import { Dialler } from "./dialling";
import { openLeases } from "./leases";
import { pollingTransport } from "./polling";
import type { OpenTransport } from "./transport";
import { webSocketTransport } from "./websocket";

const origin = process.env.TACE_LIVE;
const address = NodeAddress.parse(origin ?? "http://127.0.0.1:8080");
const webSocket = webSocketTransport((url, name) => new WebSocket(url, name));
const polling = pollingTransport((url, init) => fetch(url, init), systemClock);

async function open(transport: OpenTransport): Promise<Connection> {
  const connection = new Connection(address, transport, systemClock);
  await connection.opened;
  return connection;
}

describe.skipIf(!origin)("a real node", () => {
  it.each([
    ["by WebSocket", webSocket],
    ["by polling", polling],
  ])("answers questions %s", async (_, transport) => {
    const connection = await open(transport);
    await connection.ping();
    const status = await connection.request(GetStatus, {});
    expect(hex(status.nodeId)).toBe(hex(connection.challenge.nodeId));
    const { records } = await connection.request(GetNetwork, {});
    const record = await parseNodeRecord(records[0]!, status.networkId, nodePoints);
    expect(hex(record.nodeId)).toBe(hex(status.nodeId));
    const found = await connection.request(FindRecord, { key: new Uint8Array(32) });
    expect(found.record).toHaveLength(0);
    connection.close();
  });

  it("is polled where WebSockets are blocked", async () => {
    const blocked = webSocketTransport(() => {
      throw new DOMException("blocked", "SecurityError");
    });
    const dialler = new Dialler(blocked, polling, systemClock, Math.random);
    const connection = await dialler.dial(address);
    expect(connection.carrier).toBe("polling");
    await connection.ping();
    connection.close();
  });

  it("says why it ends a session", async () => {
    const connection = await open(polling);
    const wrong = { mailboxes: [new Uint8Array(32)] };
    await expect(connection.request(StartWatch, wrong)).rejects.toMatchObject({
      code: "unauthorized",
    });
    expect(connection.lost).toBeNull();
    connection.tell(CaughtUp, { mailbox: new Uint8Array(32) });
    const reason = await new Promise((resolve) => {
      connection.events = { ...NO_EVENTS, onLost: resolve };
    });
    expect(reason).toBeInstanceOf(ProtocolError);
  });

  it.each([
    ["from polling to WebSocket", polling, webSocket],
    ["from WebSocket to polling", webSocket, polling],
  ])("carries an envelope %s", async (_, from, to) => {
    const key = { ...(await signingPair()), kind: KIND_CONTACTS } as const;
    const mailbox = await mailboxId(key.publicKey, key.kind);
    const inbox = await open(to);
    const pushed = new Promise<Bytes>((resolve) => {
      inbox.events = { ...NO_EVENTS, onPush: (envelope: Bytes) => resolve(envelope) };
    });
    await openLeases(inbox, [key], systemClock);
    await inbox.request(StartWatch, { mailboxes: [mailbox] });
    const outbox = await open(from);
    const envelope = await makeEnvelope({
      mailbox,
      expiresHours: Math.floor(Date.now() / 3_600_000) + 24,
      lock: await lockOf(new Uint8Array(16)),
      blob: crypto.getRandomValues(new Uint8Array(3552)),
    });
    const { results } = await outbox.request(Send, { envelopes: [envelope.encoded] });
    expect(results[0]?.state).toBe("stored");
    expect(hex(await pushed)).toBe(hex(envelope.encoded));
    inbox.close();
    outbox.close();
  });
});
