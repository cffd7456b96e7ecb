import { encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromHex, hex } from "./bytes";
import {
  Ack,
  CaughtUp,
  Challenge,
  CLIENT_MESSAGES,
  ClientPing,
  ClientRefused,
  encodeClientMessage,
  FindRecord,
  GetNetwork,
  MAX_CLIENT_MESSAGE_BYTES,
  Send,
  StartWatch,
  StatusInfo,
  splitClientMessage,
} from "./client";
import { ProtocolError, UnknownMessage } from "./errors";
import { encodeBody, valuesOf } from "./message";
import { unwritten, vectorFile, type Written, written } from "./testing/vectors";

interface Vector {
  name: string;
  number: number;
  fields: Written[];
  hex: string;
}

const vectors = (vectorFile("wire/messages.json") as { client: Vector[] }).client;

function positional(fields: Written[]): unknown[] {
  return fields.map(unwritten);
}

describe("the vectors of client messages", () => {
  it("there is one for each message", () => {
    const numbers = new Set(vectors.map((vector) => vector.number));
    expect([...CLIENT_MESSAGES].map((kind) => kind.number).sort()).toEqual([...numbers].sort());
  });

  it.each(vectors.map((vector) => [vector.name, vector] as const))("%s", (name, vector) => {
    const arrived = CLIENT_MESSAGES.decode(vector.number, fromHex(vector.hex));
    expect(arrived.kind.name).toBe(name);
    expect(written(arrived.values)).toEqual(vector.fields);
    expect(hex(encodeBody(arrived.kind, arrived.values as never))).toBe(vector.hex);
  });

  it.each(vectors.map((vector) => [vector.name, vector] as const))(
    "%s with a field of a newer version",
    (_, vector) => {
      const longer = encode([...positional(vector.fields), { newer: [1] }]);
      const arrived = CLIENT_MESSAGES.decode(vector.number, longer);
      expect(written(arrived.values)).toEqual(vector.fields);
    },
  );
});

describe("the frame of a message", () => {
  it("carries number and request id", () => {
    const data = encodeClientMessage(ClientPing, {}, 0xfffffffe);
    expect(hex(data)).toBe("0103fffffffe90");
    const { number, requestId, body } = splitClientMessage(data);
    expect([number, requestId, hex(body)]).toEqual([259, 0xfffffffe, "90"]);
  });

  it("has bounds", () => {
    expect(() => splitClientMessage(new Uint8Array(5))).toThrow(ProtocolError);
    expect(() => splitClientMessage(new Uint8Array(MAX_CLIENT_MESSAGE_BYTES + 1))).toThrow(
      ProtocolError,
    );
    expect(splitClientMessage(new Uint8Array(MAX_CLIENT_MESSAGE_BYTES)).number).toBe(0);
  });

  it("knows no message of another number", () => {
    expect(() => CLIENT_MESSAGES.decode(999, fromHex("90"))).toThrow(UnknownMessage);
  });
});

describe("fields", () => {
  const refused = (...fields: unknown[]) =>
    valuesOf(CLIENT_MESSAGES.decode(257, encode(fields)), ClientRefused);

  it("are filled in where they have a default", () => {
    expect(refused("full")).toEqual({ code: "full", detail: "", retryAfterMs: 0 });
    const caughtUp = CLIENT_MESSAGES.decode(264, encode([new Uint8Array(32)]));
    expect(valuesOf(caughtUp, CaughtUp)?.complete).toBe(true);
    const watch = encodeBody(StartWatch, { mailboxes: [new Uint8Array(32)] });
    expect(valuesOf(CLIENT_MESSAGES.decode(262, watch), StartWatch)?.window).toBe(64);
  });

  it.each<[string, number, unknown]>([
    ["a missing field", 257, []],
    ["no array", 257, { code: "full" }],
    ["a byte string for a text", 257, [new Uint8Array(4)]],
    ["a text for a byte string", 273, ["x".repeat(32)]],
    ["a byte string too short", 273, [new Uint8Array(31)]],
    ["a byte string too long", 273, [new Uint8Array(33)]],
    ["a text too long", 257, ["x".repeat(33)]],
    ["a text too long in astral characters", 257, ["😀".repeat(33)]],
    ["half a surrogate pair", 257, ["\ud800"]],
    ["a negative number", 257, ["full", "", -1]],
    ["a number too large", 257, ["full", "", 2 ** 32]],
    ["a fraction", 257, ["full", "", 0.5]],
    ["nil", 257, ["full", null]],
    ["a number for a boolean", 264, [new Uint8Array(32), 1]],
    ["no mailbox", 262, [[], 64]],
    ["nine mailboxes", 262, [Array.from({ length: 9 }, () => new Uint8Array(32)), 64]],
    ["seventeen envelopes", 271, [Array.from({ length: 17 }, () => new Uint8Array(3630))]],
    ["a pair that is none", 266, [[[new Uint8Array(32)]]]],
  ])("refuse %s", (_, number, fields) => {
    expect(() => CLIENT_MESSAGES.decode(number, encode(fields))).toThrow(ProtocolError);
  });

  it("count characters, not code units", () => {
    expect(refused("😀".repeat(32))?.code).toHaveLength(64);
  });

  it("bound 63-bit numbers before rounding them", () => {
    const pong = (clock: bigint) =>
      CLIENT_MESSAGES.decode(258, encode([clock], { useBigInt64: true })).values;
    expect(pong(2n ** 63n - 1n)).toEqual({ clockMs: 2 ** 63 });
    expect(() => pong(2n ** 63n)).toThrow(ProtocolError);
    expect(() => pong(-1n)).toThrow(ProtocolError);
  });

  it("keep nothing of the message they came in", () => {
    const body = encodeBody(FindRecord, { key: new Uint8Array(32).fill(7) });
    const found = valuesOf(CLIENT_MESSAGES.decode(273, body), FindRecord);
    expect(found?.key.buffer.byteLength).toBe(32);
    body.fill(0);
    expect(found?.key[0]).toBe(7);
  });

  it("are checked before they are sent", () => {
    expect(() => encodeClientMessage(FindRecord, { key: new Uint8Array(31) }, 1)).toThrow(
      new TypeError("FindRecord: key: 31 bytes"),
    );
    const envelopes = Array.from({ length: 16 }, () => new Uint8Array(3630));
    expect(encodeClientMessage(Send, { envelopes }, 1).length).toBeLessThan(
      MAX_CLIENT_MESSAGE_BYTES,
    );
  });
});

describe("whatever the bytes are", () => {
  const kinds = [...CLIENT_MESSAGES];

  it("decoding gives a message or a ProtocolError", () => {
    fc.assert(
      fc.property(fc.constantFrom(...kinds), fc.uint8Array({ maxLength: 400 }), (kind, body) => {
        try {
          CLIENT_MESSAGES.decode(kind.number, body);
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }),
      { seed: 1, numRuns: 2000 },
    );
  });

  it("so does every vector with a byte changed, or cut short", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...vectors),
        fc.nat(),
        fc.nat(255),
        fc.boolean(),
        (vector, at, byte, cut) => {
          const body = fromHex(vector.hex);
          body[at % body.length] = byte;
          try {
            CLIENT_MESSAGES.decode(vector.number, cut ? body.subarray(0, at % body.length) : body);
          } catch (error) {
            expect(error).toBeInstanceOf(ProtocolError);
          }
        },
      ),
      { seed: 2, numRuns: 2000 },
    );
  });

  it.each([
    ["four billion elements", "ddffffffff"],
    ["four billion bytes", "91c6ffffffff"],
    ["four billion pairs", "91dfffffffff"],
    ["arrays in arrays", "91".repeat(60_000)],
    ["large arrays in arrays", "dc0200".repeat(20_000)],
    ["a key that is a prototype", "9181a95f5f70726f746f5f5f01"],
    ["two values", "9090"],
    ["nothing", ""],
  ])("%s cost little", (_, text) => {
    for (const kind of [Challenge, GetNetwork, Ack, StatusInfo]) {
      expect(() => CLIENT_MESSAGES.decode(kind.number, fromHex(text))).toThrow(ProtocolError);
    }
  });
});
