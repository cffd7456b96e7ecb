/** Bytes of strangers: what leaves a decoder is what it declares, and nothing else. */

import * as fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { type Bytes, concat, utf8 } from "../wire/bytes";
import { BadRecord, Malformed } from "../wire/errors";
import { parseUserRecord } from "../wire/user-record";
import { points } from "./crypto";
import { parseCertificate } from "./device";
import { BadExport, exportBase, openExport, WrongExportCode } from "./export";
import { INNER_BYTES, parseInner } from "./inner";
import { HANDSHAKE_BYTES, parseHandshake } from "./pqxdh";
import { parseDeviceList, parseDeviceRecord } from "./records";
import { hpkeOpen, Junk } from "./sealed";
import { newPair, receive } from "./session";
import { NOW, Person } from "./testing/person";

let ann: Person;
let ben: Person;
let first: Bytes;

beforeAll(async () => {
  [ann, ben] = [await Person.make(), await Person.make()];
  await ann.start(ben);
  first = await ann.send(ben, utf8("hello"));
});

/** Any bytes of about that length; or good ones with a few that are not. */
function strange(good: () => Bytes): fc.Arbitrary<(length?: number) => Bytes> {
  const edits = fc.array(fc.tuple(fc.nat(10_000), fc.nat(255)), { minLength: 1, maxLength: 4 });
  const spoiled = fc.tuple(edits, fc.integer({ min: -3, max: 3 })).map(([places, longer]) => () => {
    const bytes = concat(good(), new Uint8Array(3)).slice(0, good().length + Math.min(0, longer));
    for (const [at, value] of places) bytes[at % bytes.length] = value;
    return bytes;
  });
  const any = fc.uint8Array({ maxLength: 300 }).map((bytes) => (length = bytes.length) => {
    const whole = new Uint8Array(length);
    whole.set(bytes.subarray(0, length));
    return whole;
  });
  return fc.oneof(spoiled, any);
}

async function only(
  errors: readonly (new (...given: never[]) => Error)[],
  good: () => Bytes,
  parse: (bytes: Bytes) => Promise<unknown>,
  length?: number,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(strange(good), async (bytes) => {
      try {
        await parse(bytes(length));
      } catch (error) {
        expect(
          errors.some((each) => error instanceof each),
          String(error),
        ).toBe(true);
      }
    }),
    { seed: 5, numRuns: 150 },
  );
}

test("certificates", async () => {
  await only([Malformed], () => ann.own.certificate.encoded, parseCertificate);
});

test("handshakes", async () => {
  const good = () => first.slice(1, 1 + HANDSHAKE_BYTES);
  await only([Malformed], good, parseHandshake, HANDSHAKE_BYTES);
});

test("user records, and the payloads in them when somebody signed anything", async () => {
  const good = () => ann.record.record.encoded;
  await only([BadRecord], good, (bytes) => parseUserRecord(bytes, points));
  const { record } = ann.record;
  const payload = () => record.payload;
  await only([BadRecord], payload, (bytes) => parseDeviceRecord({ ...record, payload: bytes }));
  await only([BadRecord], payload, (bytes) =>
    parseDeviceList({ ...record, kind: 1, payload: bytes }),
  );
});

test("inner messages: parsed, and opened or not, whatever they claim", async () => {
  await only(
    [Malformed],
    () => first,
    async (bytes) => {
      const inner = await parseInner(bytes);
      const pair = newPair(inner.identity, inner.device);
      const outcome = await receive(pair, ben.own, ben.prekeys, inner, NOW);
      expect(["opened", "undecryptable"]).toContain(outcome.outcome);
    },
    INNER_BYTES,
  );
});

test("seals and export files", async () => {
  const inbox = ben.keys.inbox;
  await only(
    [Junk],
    () => new Uint8Array(3552).fill(4),
    (bytes) => hpkeOpen(inbox, utf8("info"), bytes),
  );
  const base = await exportBase({ secret: new Uint8Array(16) });
  const good = () => concat(utf8("tace export 1\n"), new Uint8Array(80));
  await only([BadExport, WrongExportCode], good, (bytes) => openExport(base, bytes));
});
