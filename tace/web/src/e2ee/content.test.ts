import { Encoder } from "@msgpack/msgpack";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Bytes, concat, fromHex, hex, utf8 } from "../wire/bytes";
import { Malformed } from "../wire/errors";
import {
  type Body,
  type Content,
  decodeBody,
  decodeContents,
  encodeBody,
  encodeContents,
  Kind,
  kindOf,
  MAX_BODY_BYTES,
  MAX_CONTENTS,
  MAX_PARTS,
  type Part,
  PIECE_BYTES,
} from "./content";
import { Joining, MAX_JOINING, PART_OVERHEAD_BYTES, split, TooLarge } from "./parts";
import { load } from "./testing/vectors";

/** Each kind's fields in the order of the specification, named as vector files name them. */
const NAMES: Readonly<Record<number, Readonly<Record<string, string>>>> = {
  [Kind.TEXT]: { text: "text" },
  [Kind.PART]: { whole: "whole", whole_kind: "of", index: "index", count: "count", piece: "piece" },
  [Kind.RECEIPT]: { state: "state", ids: "ids" },
  [Kind.SESSION_REQUEST]: { unread: "unread" },
  [Kind.PROFILE]: { name: "name" },
  [Kind.CONTACTS_MAILBOX]: { mailbox: "mailbox" },
  [Kind.REACTION]: { target: "target", emoji: "emoji" },
  [Kind.EDIT]: { target: "target", text: "text" },
  [Kind.DELETE]: { target: "target" },
  [Kind.FILE]: {
    name: "name",
    type: "type",
    size: "bytes",
    key: "key",
    expires_hours: "expiresHours",
    hashes: "hashes",
  },
};

interface WrittenContent {
  readonly id: string;
  readonly counter: number;
  readonly sent_ms: number;
  readonly reply_to: string | null;
  readonly body: Readonly<Record<string, unknown>> & { readonly kind: number };
  readonly encoded: string;
}

const given = load<{
  cases: readonly WrittenContent[];
  parts: { text: string; room: number; random: readonly string[]; bodies: readonly string[] };
  newer: { encoded: string };
  refused: Readonly<Record<string, string>>;
}>("e2ee/content.json");

function inHex(value: unknown): unknown {
  if (value instanceof Uint8Array) return hex(value);
  return Array.isArray(value) ? value.map(inHex) : value;
}

function written(body: Body): Record<string, unknown> {
  if (body.kind === "unknown") return { kind: body.number, unknown: hex(body.encoded) };
  const fields = new Map(Object.entries(body));
  const named = Object.entries(NAMES[body.kind] ?? {});
  return {
    kind: body.kind,
    ...Object.fromEntries(named.map(([to, from]) => [to, inHex(fields.get(from))])),
  };
}

describe("vectors", () => {
  test.each(given.cases)("counter $counter, kind $body.kind", (written_) => {
    const [content, ...others] = decodeContents(fromHex(written_.encoded));
    expect(others).toEqual([]);
    const { id, counter, sentMs, replyTo, body } = content!;
    expect({
      id: hex(id),
      counter,
      sent_ms: sentMs,
      reply_to: replyTo && hex(replyTo),
      body: written(body),
    }).toEqual({
      id: written_.id,
      counter: written_.counter,
      sent_ms: written_.sent_ms,
      reply_to: written_.reply_to,
      body: written_.body,
    });
    expect(hex(encodeContents([content!]))).toBe(written_.encoded);
  });

  test("every kind that has a body is among them, and one that has none", () => {
    const kinds = new Set(given.cases.map(({ body }) => body.kind));
    for (let kind = 1; kind <= 10; kind += 1) expect(kinds).toContain(kind);
    expect(kinds).toContain(200);
  });

  test("fields of a newer version are ignored", () => {
    const [content] = decodeContents(fromHex(given.newer.encoded));
    expect(content?.body).toEqual({ kind: Kind.TEXT, text: "hi" });
  });

  test.each(Object.entries(given.refused))("refused: %s", (_, encoded) => {
    expect(() => decodeContents(fromHex(encoded))).toThrow(Malformed);
  });

  test("the parts of a text are these, and join in any order", () => {
    const { text, room, random, bodies } = given.parts;
    const parts = split({ kind: Kind.TEXT, text }, room, fromHex(random[0]!));
    expect(parts.map((part) => hex(encodeBody(part)))).toEqual(bodies);
    const joining = new Joining();
    const joined = parts.toReversed().map((part) => joining.add(part));
    expect(joined).toEqual([...parts.slice(1).map(() => null), { kind: Kind.TEXT, text }]);
    expect(joining.size).toBe(0);
  });
});

// -- whatever can be said -------------------------------------------------------------------------

const bytesOf = (minLength: number, maxLength = minLength) =>
  fc.uint8Array({ minLength, maxLength }).map((bytes) => concat(bytes));
const id = bytesOf(16);
const text = fc.string({ unit: "grapheme", maxLength: 80 });

const file = fc.nat(3 * PIECE_BYTES).chain((size) => {
  const chunks = Math.max(1, Math.ceil(size / PIECE_BYTES));
  return fc.record({
    kind: fc.constant(Kind.FILE),
    name: text,
    type: fc.constantFrom("image/webp", ""),
    bytes: fc.constant(size),
    key: bytesOf(32),
    expiresHours: fc.nat(0xffff_ffff),
    hashes: fc.array(bytesOf(32), { minLength: chunks, maxLength: chunks }),
  });
});

const anyBody: fc.Arbitrary<Body> = fc.oneof(
  fc.record({ kind: fc.constant(Kind.TEXT), text }),
  fc.record({
    kind: fc.constant(Kind.PART),
    whole: id,
    of: fc.constantFrom(1, 8, 200),
    index: fc.nat(31),
    count: fc.integer({ min: 32, max: MAX_PARTS }),
    piece: bytesOf(1, 300),
  }),
  fc.record({
    kind: fc.constant(Kind.RECEIPT),
    state: fc.constantFrom(1, 2),
    ids: fc.array(id, { minLength: 1, maxLength: 20 }),
  }),
  fc.record({
    kind: fc.constant(Kind.SESSION_REQUEST),
    unread: fc.array(bytesOf(32), { maxLength: 32 }),
  }),
  fc.record({ kind: fc.constant(Kind.PROFILE), name: fc.string({ maxLength: 30 }) }),
  fc.record({
    kind: fc.constant(Kind.CONTACTS_MAILBOX),
    mailbox: bytesOf(31).map((bytes) => concat(bytes, Uint8Array.of(2))),
  }),
  fc.record({
    kind: fc.constant(Kind.REACTION),
    target: id,
    emoji: fc.constantFrom("", "👍🏽", "é"),
  }),
  fc.record({ kind: fc.constant(Kind.EDIT), target: id, text }),
  fc.record({ kind: fc.constant(Kind.DELETE), target: id }),
  file,
  fc.record({
    kind: fc.constant("unknown" as const),
    number: fc.integer({ min: 11, max: 255 }),
    encoded: fc
      .array(fc.oneof(fc.string(), fc.nat(), fc.boolean(), bytesOf(0, 9)), { maxLength: 4 })
      .map((values) => new Encoder().encode(values)),
  }),
);

const anyContent: fc.Arbitrary<Content> = fc.record({
  id,
  counter: fc.maxSafeNat(),
  sentMs: fc.maxSafeNat(),
  replyTo: fc.option(id),
  body: anyBody,
});

describe("contents", () => {
  test("what is said is read, and a kind that is not known is kept as it came", () => {
    fc.assert(
      fc.property(fc.array(anyContent, { minLength: 1, maxLength: MAX_CONTENTS }), (contents) => {
        const encoded = encodeContents(contents);
        expect(decodeContents(encoded)).toEqual(contents);
        expect(encodeContents(decodeContents(encoded))).toEqual(encoded);
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  test("a message holds 1 to 8", () => {
    const one: Content = {
      id: new Uint8Array(16),
      counter: 1,
      sentMs: 2,
      replyTo: null,
      body: { kind: Kind.TEXT, text: "hi" },
    };
    for (const count of [0, MAX_CONTENTS + 1]) {
      expect(() => encodeContents(Array(count).fill(one))).toThrow(RangeError);
    }
  });

  test("whatever arrives is read, or Malformed leaves and nothing else", () => {
    const said = fc.array(anyContent, { minLength: 1, maxLength: 3 }).map(encodeContents);
    const spoiled = fc
      .tuple(said, fc.nat(), fc.nat(255), fc.nat(3))
      .map(([bytes, at, byte, cut]) => {
        const copy = bytes.slice(0, bytes.length - cut);
        copy[at % copy.length] = byte;
        return copy;
      });
    const structured = fc.anything({ withNullPrototype: false }).map(packed);
    const [read, refused] = [new Set<number>(), new Set<number>()];
    fc.assert(
      fc.property(fc.oneof(spoiled, bytesOf(0, 200), structured), (bytes) => {
        try {
          for (const { body } of decodeContents(bytes)) read.add(kindOf(body));
        } catch (error) {
          expect(error).toBeInstanceOf(Malformed);
          refused.add(bytes.length);
        }
      }),
      { seed: 2, numRuns: 3000 },
    );
    expect([read.size > 5, refused.size > 5]).toEqual([true, true]);
  });

  test("a body of any kind that is not one of its kind is Malformed", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        fc.oneof(bytesOf(0, 120), fc.anything().map(packed)),
        (kind, bytes) => {
          try {
            expect(kindOf(decodeBody(kind, bytes))).toBe(kind);
          } catch (error) {
            expect(error).toBeInstanceOf(Malformed);
          }
        },
      ),
      { seed: 3, numRuns: 2000 },
    );
  });

  test("an unknown kind may hold anything, but not nested without end", () => {
    const nested = (depth: number) =>
      concat(
        fromHex(`9196ccc8c410${"00".repeat(16)}0102c0`),
        new Uint8Array(depth).fill(0x91),
        Uint8Array.of(0xc0),
      );
    const [content] = decodeContents(nested(90));
    expect(kindOf(content!.body)).toBe(200);
    expect(encodeContents([content!])).toEqual(nested(90));
    expect(kindOf(decodeContents(nested(0))[0]!.body)).toBe(200);
    for (const depth of [200, 5000, 100_000]) {
      expect(() => decodeContents(nested(depth))).toThrow(Malformed);
    }
  });

  test("what several fields rule together is looked at", () => {
    const whole = `c410${"00".repeat(16)}`;
    expect(decodeBody(Kind.PART, fromHex(`95${whole}010102c40161`))).toMatchObject({ index: 1 });
    const wrong: [number, string][] = [
      [Kind.PART, `95${whole}010202c40161`],
      [Kind.PART, `95${whole}020002c40161`],
      [Kind.PART, `95${whole}014041c40161`],
      [Kind.PART, `95${whole}010000c40161`],
      [Kind.PART, `95${whole}010002c400`],
      [Kind.CONTACTS_MAILBOX, `91c420${"01".repeat(32)}`],
      [Kind.RECEIPT, "920190"],
    ];
    for (const [kind, body] of wrong) {
      expect(() => decodeBody(kind, fromHex(body)), body).toThrow(Malformed);
    }
  });

  test("numbers are whole and below 2^53", () => {
    const whole = (counter: string) =>
      fromHex(`919601c410${"00".repeat(16)}${counter}02c091a26869`);
    expect(decodeContents(whole("cf001fffffffffffff"))[0]?.counter).toBe(2 ** 53 - 1);
    expect(decodeContents(whole("d001"))[0]?.counter).toBe(1);
    for (const wrong of ["cf0020000000000000", "ff", "cb3ff8000000000000", "a131", "c0"]) {
      expect(() => decodeContents(whole(wrong)), wrong).toThrow(Malformed);
    }
  });

  function packed(value: unknown): Bytes {
    try {
      return new Encoder().encode(value);
    } catch {
      // Not a value of MessagePack (a symbol, a function): nothing like it can arrive.
      return new Uint8Array();
    }
  }
});

describe("parts", () => {
  const whole = new Uint8Array(16).fill(7);

  test("any text is joined again, whatever the room, the order and what comes twice", () => {
    const long = fc.string({ unit: "grapheme", minLength: 1, maxLength: 400 });
    const order = fc.infiniteStream(fc.nat());
    fc.assert(
      fc.property(long, fc.integer({ min: 150, max: 500 }), order, (said, room, places) => {
        const body: Body = { kind: Kind.TEXT, text: said };
        const parts = split(body, room, whole);
        for (const part of parts) {
          const content = { id: whole, counter: 2 ** 53 - 1, sentMs: 2 ** 53 - 1, replyTo: whole };
          expect(encodeContents([{ ...content, body: part }]).length).toBeLessThanOrEqual(room);
        }
        const left = [...parts];
        const joining = new Joining();
        let joined: Body | null = null;
        while (left.length > 0) {
          const [part] = left.splice(places.next().value % left.length, 1);
          expect(joined).toBeNull();
          joined = joining.add(part!);
          if (left.length > 0) expect(joining.add(part!)).toBeNull();
        }
        expect(joined).toEqual(body);
        expect(joining.size).toBe(0);
      }),
      { seed: 4, numRuns: 200 },
    );
  });

  test("64 KiB and 64 parts, and not more", () => {
    const body: Body = { kind: Kind.TEXT, text: "x".repeat(MAX_BODY_BYTES - 4) };
    expect(encodeBody(body)).toHaveLength(MAX_BODY_BYTES);
    const parts = split(body, 2070, whole);
    expect(parts).toHaveLength(34);
    const joining = new Joining();
    expect(parts.map((part) => joining.add(part)).at(-1)).toEqual(body);
    const longer: Body = { kind: Kind.TEXT, text: "x".repeat(MAX_BODY_BYTES - 3) };
    expect(() => split(longer, 2070, whole)).toThrow(TooLarge);
    expect(() => split(body, PART_OVERHEAD_BYTES + 1000, whole)).toThrow(TooLarge);
  });

  function part(changes: Partial<Part> = {}): Part {
    const piece = utf8("piece");
    return { kind: Kind.PART, whole, of: Kind.TEXT, index: 0, count: 2, piece, ...changes };
  }

  test("parts that contradict each other give the body up", () => {
    const others = [{ of: Kind.EDIT }, { count: 3 }, { piece: utf8("other") }];
    for (const other of others) {
      const joining = new Joining();
      joining.add(part());
      expect(() => joining.add(part(other))).toThrow(Malformed);
      expect(joining.size).toBe(0);
    }
  });

  test("a body that grows beyond 64 KiB, or is none, is given up", () => {
    const joining = new Joining();
    const piece = new Uint8Array(40_000);
    joining.add(part({ piece, count: 3 }));
    expect(() => joining.add(part({ piece, count: 3, index: 1 }))).toThrow(Malformed);
    joining.add(part());
    expect(() => joining.add(part({ index: 1 }))).toThrow(Malformed);
    expect(joining.size).toBe(0);
  });

  test("16 are in the making; the one that began first goes", () => {
    const joining = new Joining();
    for (let at = 0; at <= MAX_JOINING; at += 1) {
      joining.add(part({ whole: new Uint8Array(16).fill(at), piece: Uint8Array.of(0x91) }));
      expect(joining.size).toBeLessThanOrEqual(MAX_JOINING);
    }
    const rest = { index: 1, piece: fromHex("a26869") };
    const hi = { kind: Kind.TEXT, text: "hi" };
    expect(joining.add(part({ ...rest, whole: new Uint8Array(16).fill(2) }))).toEqual(hi);
    expect(joining.add(part({ ...rest, whole: new Uint8Array(16).fill(0) }))).toBeNull();
  });
});
