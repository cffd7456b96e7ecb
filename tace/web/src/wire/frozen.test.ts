import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromHex, hex, utf8 } from "./bytes";
import { Challenge, CLIENT_MESSAGES, encodeClientMessage, splitClientMessage } from "./client";
import { Label, labelled } from "./digest";
import { BadRecord, Malformed, ProtocolError } from "./errors";
import { joinFrames, splitFrames } from "./frames";
import { leaseIsSigned, MAX_REMOVED, parseRemoval, signLease, signRemoval } from "./mailbox-proof";
import { nodeId, parseNodeRecord } from "./node-record";
import {
  ENVELOPE_BYTES,
  KIND_CONTACTS,
  KIND_REQUESTS,
  lockOf,
  mailboxId,
  makeEnvelope,
  parseEnvelope,
  parseTombstone,
  stampBits,
  stampedFor,
  tombstoneOf,
} from "./objects";
import { signingPair } from "./testing/keys";
import { nodePoints as points } from "./testing/points";
import { vectorFile } from "./testing/vectors";
import {
  compareUserRecords,
  KIND_DEVICE,
  KIND_DEVICE_LIST,
  parseUserRecord,
  signUserRecord,
  userRecordKey,
} from "./user-record";

interface Frozen {
  network_id: string;
  node: { public: string; id: string };
  mailbox: { public: string; requests: string; contacts: string };
  envelope: {
    secret: string;
    lock: string;
    expires_hours: number;
    id: string;
    stamp_target: number;
    stamp_nonce: number;
    stamp_bits: number;
    hex: string;
  };
  tombstone: { mailbox: string; hex: string };
  removal: { items: [string, number][]; kind: number; hex: string };
  lease: {
    kind: 1 | 2;
    origin: string;
    challenge: string;
    expires_seconds: number;
    signature: string;
  };
  node_record: {
    client_urls: string[];
    boot: number;
    sequence: number;
    position_mask: number;
    software: string;
    hex: string;
  };
  user_record: {
    public: string;
    kind: 1 | 2;
    device: string;
    sequence: number;
    expires_hours: number;
    payload: string;
    key: string;
    hex: string;
  };
}

const frozen = vectorFile("wire/frozen.json") as Frozen;
const network = fromHex(frozen.network_id);

function changed(bytes: Uint8Array, at: number): Uint8Array {
  const other = new Uint8Array(bytes);
  other[at] = other[at]! ^ 1;
  return other;
}

describe("the frozen envelope", () => {
  const { envelope } = frozen;
  const encoded = fromHex(envelope.hex);

  it("is read and made", async () => {
    const found = await parseEnvelope(encoded);
    expect(hex(found.id)).toBe(envelope.id);
    expect(hex(found.mailbox)).toBe(frozen.mailbox.requests);
    expect(found.expiresHours).toBe(envelope.expires_hours);
    expect(found.stampNonce).toBe(BigInt(envelope.stamp_nonce));
    const { id, kind, encoded: same, ...parts } = found;
    expect(hex((await makeEnvelope(parts)).encoded)).toBe(envelope.hex);
    expect([hex(id), kind, same.length]).toEqual([envelope.id, KIND_REQUESTS, ENVELOPE_BYTES]);
  });

  it("shows its stamp", async () => {
    const found = await parseEnvelope(encoded);
    const bits = await stampBits(found.id, found.stampTarget, found.stampNonce);
    expect(bits).toBe(envelope.stamp_bits);
    expect(await stampedFor(found, envelope.stamp_target)).toBe(true);
    expect(await stampedFor(found, envelope.stamp_target + 1)).toBe(false);
    expect(await stampedFor(found, 0)).toBe(true);
  });

  it("opens by its secret", async () => {
    const secret = fromHex(envelope.secret);
    expect(hex(await lockOf(secret))).toBe(envelope.lock);
    const tombstone = await tombstoneOf(await parseEnvelope(encoded), secret);
    expect(hex(tombstone.encoded)).toBe(frozen.tombstone.hex);
    const read = await parseTombstone(fromHex(frozen.tombstone.mailbox), tombstone.encoded);
    expect(read).toEqual(tombstone);
    await expect(tombstoneOf(await parseEnvelope(encoded), new Uint8Array(16))).rejects.toThrow(
      Malformed,
    );
    await expect(parseTombstone(read.mailbox, changed(read.encoded, 40))).rejects.toThrow(
      Malformed,
    );
    await expect(parseTombstone(read.mailbox, read.encoded.subarray(1))).rejects.toThrow(Malformed);
  });

  it("has one length, one version and two kinds", async () => {
    await expect(parseEnvelope(encoded.subarray(1))).rejects.toThrow(Malformed);
    await expect(parseEnvelope(changed(encoded, 0))).rejects.toThrow(Malformed);
    const kind = new Uint8Array(encoded);
    kind[32] = 3;
    await expect(parseEnvelope(kind)).rejects.toThrow(Malformed);
  });
});

describe("the frozen mailbox", () => {
  const key = fromHex(frozen.mailbox.public);

  it("has its ids", async () => {
    expect(hex(await mailboxId(key, KIND_REQUESTS))).toBe(frozen.mailbox.requests);
    expect(hex(await mailboxId(key, KIND_CONTACTS))).toBe(frozen.mailbox.contacts);
  });

  it("signed a lease", async () => {
    const { kind, origin, challenge, expires_seconds, signature } = frozen.lease;
    const lease = {
      mailboxKey: key,
      kind,
      origin,
      challenge: fromHex(challenge),
      expiresSeconds: expires_seconds,
      signature: fromHex(signature),
    };
    const node = fromHex(frozen.node.id);
    expect(await leaseIsSigned(lease, network, node, points)).toBe(true);
    expect(await leaseIsSigned(lease, network, network, points)).toBe(false);
    const elsewhere = { ...lease, origin: "https://other.example" };
    expect(await leaseIsSigned(elsewhere, network, node, points)).toBe(false);
  });

  it("signed a removal", async () => {
    const encoded = fromHex(frozen.removal.hex);
    const found = await parseRemoval(encoded, points);
    expect(hex(found.mailboxKey)).toBe(frozen.mailbox.public);
    expect(found.kind).toBe(frozen.removal.kind);
    const items = found.items.map(({ id, expiresHours }) => [hex(id), expiresHours]);
    expect(items).toEqual(frozen.removal.items);
    for (const at of [0, 33, 34, 35, encoded.length - 1]) {
      await expect(parseRemoval(changed(encoded, at), points)).rejects.toThrow(Malformed);
    }
    await expect(parseRemoval(encoded.subarray(0, 34), points)).rejects.toThrow(Malformed);
  });

  it("signs others that hold", async () => {
    const pair = await signingPair();
    const own = { ...pair, kind: KIND_CONTACTS } as const;
    const terms = {
      networkId: network,
      nodeId: fromHex(frozen.node.id),
      origin: "https://node.example",
      challenge: new Uint8Array(32),
      expiresSeconds: 1_789_200_900,
    };
    const lease = await signLease(own, terms);
    expect(await leaseIsSigned(lease, terms.networkId, terms.nodeId, points)).toBe(true);
    await expect(signLease(own, { ...terms, origin: "x".repeat(201) })).rejects.toThrow(RangeError);
    const items = [{ id: new Uint8Array(32).fill(1), expiresHours: 7 }];
    const removal = await parseRemoval(await signRemoval(own, items), points);
    expect(removal.items).toEqual(items);
    await expect(signRemoval(own, [])).rejects.toThrow(RangeError);
    const many = Array.from({ length: MAX_REMOVED + 1 }, () => items[0]!);
    await expect(signRemoval(own, many)).rejects.toThrow(RangeError);
  });
});

describe("the frozen node record", () => {
  const encoded = fromHex(frozen.node_record.hex);

  it("is read", async () => {
    const record = await parseNodeRecord(encoded, network, points);
    expect(hex(record.nodeId)).toBe(frozen.node.id);
    expect(hex(record.identityKey)).toBe(frozen.node.public);
    expect(record.clientUrls).toEqual(frozen.node_record.client_urls);
    expect([record.boot, record.sequence]).toEqual([
      frozen.node_record.boot,
      frozen.node_record.sequence,
    ]);
    expect(record.software).toBe(frozen.node_record.software);
  });

  it("is worth nothing changed, or in another network", async () => {
    const other = changed(network, 0);
    await expect(parseNodeRecord(encoded, other, points)).rejects.toThrow(BadRecord);
    for (const at of [0, 1, 5, 60, encoded.length - 1]) {
      await expect(parseNodeRecord(changed(encoded, at), network, points)).rejects.toThrow(
        BadRecord,
      );
    }
    for (const length of [0, 64, 65]) {
      await expect(parseNodeRecord(encoded.subarray(0, length), network, points)).rejects.toThrow(
        BadRecord,
      );
    }
    await expect(parseNodeRecord(new Uint8Array(1025), network, points)).rejects.toThrow(BadRecord);
  });

  it("names its node by the whole point", async () => {
    expect(hex(await nodeId(fromHex(frozen.node.public), points))).toBe(frozen.node.id);
  });
});

describe("the frozen user record", () => {
  const { user_record } = frozen;
  const encoded = fromHex(user_record.hex);

  it("is read", async () => {
    const record = await parseUserRecord(encoded, points);
    expect(hex(record.identity)).toBe(user_record.public);
    expect(hex(record.device)).toBe(user_record.device);
    expect(record.sequence).toBe(BigInt(user_record.sequence));
    expect(record.expiresHours).toBe(user_record.expires_hours);
    expect(hex(record.payload)).toBe(user_record.payload);
    const key = await userRecordKey(user_record.kind, record.identity, record.device);
    expect(hex(key)).toBe(user_record.key);
  });

  it("is worth nothing changed", async () => {
    for (const at of [0, 1, 2, 40, 67, 78, 80, 90, encoded.length - 1]) {
      await expect(parseUserRecord(changed(encoded, at), points)).rejects.toThrow(BadRecord);
    }
    await expect(parseUserRecord(encoded.subarray(0, 144), points)).rejects.toThrow(BadRecord);
    await expect(parseUserRecord(new Uint8Array(8193), points)).rejects.toThrow(BadRecord);
  });

  it("is made anew, and the newer one holds", async () => {
    const pair = await signingPair();
    const make = async (sequence: bigint, payload: string) =>
      parseUserRecord(
        await signUserRecord(pair.privateKey, {
          kind: KIND_DEVICE,
          identity: pair.publicKey,
          device: new Uint8Array(32).fill(1),
          sequence,
          expiresHours: 500_000,
          payload: utf8(payload),
        }),
        points,
      );
    const [a, b, c] = [
      await make(2n ** 53n + 1n, "a"),
      await make(2n ** 53n + 2n, "b"),
      await make(1n, "c"),
    ];
    expect(compareUserRecords(a, b)).toBeLessThan(0);
    expect(compareUserRecords(a, c)).toBeGreaterThan(0);
    expect(compareUserRecords(a, a)).toBe(0);
    const twin = await make(1n, "d");
    expect(Math.sign(compareUserRecords(c, twin))).toBe(hex(c.hash) < hex(twin.hash) ? -1 : 1);
  });

  it("of a list names no device; a payload has a bound", async () => {
    const pair = await signingPair();
    const parts = {
      kind: KIND_DEVICE_LIST,
      identity: pair.publicKey,
      device: new Uint8Array(32).fill(1),
      sequence: 1n,
      expiresHours: 500_000,
      payload: new Uint8Array(8047),
    } as const;
    const named = await signUserRecord(pair.privateKey, parts);
    await expect(parseUserRecord(named, points)).rejects.toThrow("a device list names no device");
    const payload = new Uint8Array(8048);
    await expect(signUserRecord(pair.privateKey, { ...parts, payload })).rejects.toThrow(
      RangeError,
    );
  });
});

describe("whatever the bytes are", () => {
  const objects = [
    frozen.envelope,
    frozen.tombstone,
    frozen.removal,
    frozen.node_record,
    frozen.user_record,
  ].map((object) => fromHex(object.hex));
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .tuple(fc.constantFrom(...objects), fc.nat(), fc.nat(255))
      .map(([object, at, byte]) => object.map((old, index) => (index === at % 90 ? byte : old))),
  );

  it("reading an object gives it, or says what it is not", async () => {
    await fc.assert(
      fc.asyncProperty(bytes, async (data) => {
        const readings = [
          parseEnvelope(data),
          parseTombstone(new Uint8Array(32), data),
          parseRemoval(data, points),
          parseNodeRecord(data, network, points),
          parseUserRecord(data, points),
        ];
        for (const result of await Promise.allSettled(readings)) {
          if (result.status === "fulfilled") continue;
          expect([Malformed, BadRecord]).toContain(result.reason.constructor);
        }
      }),
      { seed: 5, numRuns: 200 },
    );
  });
});

describe("frames in a body", () => {
  const message = encodeClientMessage(
    Challenge,
    {
      challenge: new Uint8Array(32),
      clockMs: 1,
      networkId: new Uint8Array(32),
      nodeId: new Uint8Array(32),
      names: [],
      versions: [1],
      software: "",
      requestsStampBits: 0,
      maxLifetimeHours: 720,
      requestsInFlight: 64,
    },
    0,
  );

  it("come back as they were put in", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 6, maxLength: 50 })), (messages) => {
        expect(splitFrames(joinFrames(messages)).map(hex)).toEqual(messages.map(hex));
      }),
      { seed: 3 },
    );
    const [found] = splitFrames(joinFrames([message]));
    const { number, body } = splitClientMessage(found!);
    expect(CLIENT_MESSAGES.decode(number, body).kind.name).toBe("Challenge");
  });

  it.each([
    ["a length cut short", "000000"],
    ["a message cut short", "00000007010000000000"],
    ["a message without a head", "000000050100000000"],
    ["a message too long", "000108010000"],
  ])("are refused with %s", (_, text) => {
    expect(() => splitFrames(fromHex(text))).toThrow(ProtocolError);
  });
});

describe("labels", () => {
  it("stand before what is signed", () => {
    expect(hex(labelled(Label.lock, Uint8Array.of(1)))).toBe(`${hex(utf8("tace lock 1"))}01`);
  });

  it("are never the beginning of one another", () => {
    const labels = Object.values(Label);
    for (const label of labels) {
      expect(labels.filter((other) => other.startsWith(label))).toEqual([label]);
    }
  });
});
