import { beforeEach, describe, expect, it } from "vitest";
import { ClientRefused, OpenLease } from "../wire/client";
import { leaseIsSigned, type MailboxKey } from "../wire/mailbox-proof";
import { valuesOf } from "../wire/message";
import { isMailboxKind, KIND_CONTACTS, KIND_REQUESTS } from "../wire/objects";
import { signingPair } from "../wire/testing/keys";
import { nodePoints } from "../wire/testing/points";
import { Connection } from "./connection";
import { openLeases, RENEW_MS } from "./leases";
import { until, VirtualClock } from "./testing/clock";
import { FakeNetwork, type FakeNode, NETWORK_ID } from "./testing/fake-node";

let clock: VirtualClock;
let node: FakeNode;
let connection: Connection;
let keys: MailboxKey[];

beforeEach(async () => {
  clock = new VirtualClock();
  const network = new FakeNetwork(clock);
  node = network.add("https://node.example");
  node.clockAheadMs = 3_600_000;
  keys = [
    { ...(await signingPair()), kind: KIND_CONTACTS },
    { ...(await signingPair()), kind: KIND_REQUESTS },
  ];
  connection = new Connection(node.address, network.opener("websocket"), clock);
  await connection.opened;
});

const leases = () =>
  node.links[0]!.asked.flatMap(({ message }) => valuesOf(message, OpenLease)?.lease ?? []);

describe("leases", () => {
  it("are signed for this connection, by the node's clock", async () => {
    await openLeases(connection, keys, clock);
    expect(leases().map((lease) => lease.kind)).toEqual([KIND_CONTACTS, KIND_REQUESTS]);
    for (const lease of leases()) {
      const { kind } = lease;
      if (!isMailboxKind(kind)) throw new Error("another kind");
      expect(await leaseIsSigned({ ...lease, kind }, NETWORK_ID, node.nodeId, nodePoints)).toBe(
        true,
      );
      expect(lease.origin).toBe("https://node.example");
      expect(lease.expiresSeconds).toBe((clock.now() + 3_600_000) / 1000 + 900);
    }
  });

  it("are renewed every ten minutes, until the connection ends", async () => {
    await openLeases(connection, keys, clock);
    expect(RENEW_MS).toBe(600_000);
    await clock.advance(RENEW_MS - 1);
    expect(leases()).toHaveLength(2);
    await clock.advance(1);
    await until(() => leases().length === 4);
    await until(() => clock.pending === 2); // the renewal, and the quiet timer
    await clock.advance(RENEW_MS);
    await until(() => leases().length === 6);
    await until(() => clock.pending === 2);
    connection.close();
    expect(clock.pending).toBe(0);
  });

  it("are not signed under another name", async () => {
    node.names = ["https://other.example"];
    const network = new FakeNetwork(clock);
    network.nodes.set(node.address.origin, node);
    const other = new Connection(node.address, network.opener("websocket"), clock);
    await other.opened;
    await expect(openLeases(other, keys, clock)).rejects.toMatchObject({ code: "unauthorized" });
    expect(node.up.flatMap((link) => link.asked)).toEqual([]);
  });

  it("that cannot be renewed end the connection", async () => {
    await openLeases(connection, keys, clock);
    node.answer = (link, _, requestId) =>
      link.say(ClientRefused, { code: "unauthorized", detail: "over" }, requestId);
    await clock.advance(RENEW_MS);
    await until(() => connection.lost !== null);
    expect(connection.lost).toMatchObject({ code: "unauthorized" });
    expect(clock.pending).toBe(0);
  });
});
