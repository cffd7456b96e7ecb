import { describe, expect, test } from "vitest";
import { type Bytes, concat, fromHex, hex, utf8 } from "../wire/bytes";
import { aeadSeal, makeAgreementKey, type RandomBytes } from "./crypto";
import type { SessionKeys } from "./pqxdh";
import {
  decrypt,
  encrypt,
  MAX_SKIPPED_KEYS,
  OVERHEAD_BYTES,
  type Ratchet,
  RatchetError,
  startAsInitiator,
  startAsResponder,
} from "./ratchet";
import { Replay } from "./testing/replay";
import { changed, keyOf, load, rejection, type WrittenKey } from "./testing/vectors";

interface WrittenStart {
  readonly root: string;
  readonly initiator_header: string;
  readonly responder_header: string;
  readonly prekey: WrittenKey;
}

interface Delivery {
  readonly message: string;
  readonly opened?: string;
  readonly refused?: string;
  readonly random: readonly string[];
  readonly skipped_keys: number;
}

interface RatchetSend {
  readonly send: number;
  readonly by: "i" | "r";
  readonly plaintext: string;
  readonly random: readonly string[];
  readonly ratchet_key: string;
  readonly previous_count: number;
  readonly message: string;
}

interface RatchetVector extends WrittenStart {
  readonly associated_data: string;
  readonly initiator_random: readonly string[];
  readonly steps: readonly (RatchetSend | (Delivery & { deliver: number; to: "i" | "r" }))[];
}

interface SkippingVector {
  readonly associated_data: string;
  readonly cases: readonly (WrittenStart & {
    readonly about: string;
    readonly events: readonly (
      | Delivery
      | { readonly send: string; readonly random: readonly string[]; readonly message: string }
    )[];
  })[];
}

/** How the vectors name what a ratchet refuses. */
const REFUSED = {
  "no-header-key": "NoHeaderKey",
  "key-gone": "KeyGone",
  "too-far-ahead": "TooFarAhead",
  tampered: "Tampered",
} as const;

function keysOf(written: WrittenStart): SessionKeys {
  return {
    transcript: new Uint8Array(32),
    root: fromHex(written.root),
    initiatorHeader: fromHex(written.initiator_header),
    responderHeader: fromHex(written.responder_header),
  };
}

function skippedCount(ratchet: Ratchet): number {
  return ratchet.skipped.reduce((sum, chain) => sum + chain.keys.length, 0);
}

/** The next state, having looked that the delivery gives what is written. */
async function deliver(
  ratchet: Ratchet,
  delivery: Delivery,
  associatedData: Bytes,
  source: Replay,
): Promise<Ratchet> {
  source.feed(delivery.random);
  let next = ratchet;
  try {
    const message = fromHex(delivery.message);
    const opened = await decrypt(ratchet, message, associatedData, source.agreementKey);
    expect(hex(opened.plaintext)).toBe(delivery.opened);
    next = opened.ratchet;
  } catch (error) {
    if (!(error instanceof RatchetError)) throw error;
    expect(REFUSED[error.flaw]).toBe(delivery.refused);
  }
  expect(source.left).toBe(0);
  expect(skippedCount(next)).toBe(delivery.skipped_keys);
  return next;
}

describe("vectors", () => {
  test("twenty messages are made byte for byte, and open or are refused as written", async () => {
    const given = load<RatchetVector>("e2ee/ratchet.json");
    const associatedData = fromHex(given.associated_data);
    const prekey = await keyOf(given.prekey);
    const source = new Replay();
    source.feed(given.initiator_random);
    const keys = keysOf(given);
    const parties = {
      i: await startAsInitiator(keys, prekey.point, source.agreementKey),
      r: startAsResponder(keys, prekey),
    };
    const refused = new Set<string>();
    for (const step of given.steps) {
      if ("deliver" in step) {
        parties[step.to] = await deliver(parties[step.to], step, associatedData, source);
        if (step.refused) refused.add(step.refused);
        continue;
      }
      source.feed(step.random);
      const plaintext = fromHex(step.plaintext);
      const sent = await encrypt(parties[step.by], plaintext, associatedData, source.random);
      parties[step.by] = sent.ratchet;
      expect(hex(sent.message)).toBe(step.message);
      expect(hex(sent.ratchet.own.point)).toBe(step.ratchet_key);
      expect(sent.ratchet.previousCount).toBe(step.previous_count);
    }
    expect(given.steps.filter((step) => "send" in step)).toHaveLength(20);
    expect(refused).toEqual(new Set(["Tampered", "KeyGone", "NoHeaderKey"]));
  });

  const skipping = load<SkippingVector>("e2ee/skipping.json");
  test.each(skipping.cases)("$about", async (written) => {
    const associatedData = fromHex(skipping.associated_data);
    let responder = startAsResponder(keysOf(written), await keyOf(written.prekey));
    for (const event of written.events) {
      const source = new Replay();
      if ("send" in event) {
        source.feed(event.random);
        const plaintext = fromHex(event.send);
        const sent = await encrypt(responder, plaintext, associatedData, source.random);
        expect(hex(sent.message)).toBe(event.message);
        responder = sent.ratchet;
      } else {
        responder = await deliver(responder, event, associatedData, source);
      }
    }
    expect(written.events.some((event) => "opened" in event)).toBe(true);
  });
});

describe("a conversation", () => {
  const random: RandomBytes = (count) => crypto.getRandomValues(new Uint8Array(count));
  const AD = utf8("transcript and prefix");

  async function meet(): Promise<{ ann: Ratchet; ben: Ratchet }> {
    const prekey = await makeAgreementKey();
    const [root, initiatorHeader, responderHeader] = [random(32), random(32), random(32)];
    const keys = { transcript: random(32), root, initiatorHeader, responderHeader };
    const ann = await startAsInitiator(keys, prekey.point, makeAgreementKey);
    return { ann, ben: startAsResponder(keys, prekey) };
  }

  test("a responder cannot send before it has received, and a full chain not at all", async () => {
    const { ann, ben } = await meet();
    expect(await rejection(encrypt(ben, AD, AD, random))).toBeInstanceOf(RangeError);
    const full = { ...ann, sending: { ...ann.sending!, count: 0xffff_ffff } };
    expect(await rejection(encrypt(full, AD, AD, random))).toBeInstanceOf(RangeError);
    const last = { ...ann, sending: { ...ann.sending!, count: 0xffff_fffe } };
    expect((await encrypt(last, AD, AD, random)).ratchet.sending?.count).toBe(0xffff_ffff);
  });

  test("every changed bit is refused, and neither state nor keys are drawn from", async () => {
    const { ann, ben } = await meet();
    const { message } = await encrypt(ann, utf8("hello"), AD, random);
    const before = structuredClone(ben);
    const noKey = () => Promise.reject(new Error("a key was drawn before the tag verified"));
    for (let at = 0; at < message.length; at += 1) {
      const error = await rejection(decrypt(ben, changed(message, at, at % 8), AD, noKey));
      expect(error).toBeInstanceOf(RatchetError);
    }
    const other = await rejection(decrypt(ben, message, utf8("another prefix"), noKey));
    expect(other).toEqual(new RatchetError("tampered"));
    for (const short of [new Uint8Array(), message.slice(0, OVERHEAD_BYTES - 1)]) {
      const error = await rejection(decrypt(ben, short, AD, noKey));
      expect(error).toEqual(new RatchetError("no-header-key"));
    }
    expect(ben).toEqual(before);
    const opened = await decrypt(ben, message, AD, makeAgreementKey);
    expect(opened.plaintext).toEqual(utf8("hello"));
  });

  test("the last one of a chain may come after the next chain has begun", async () => {
    const { ann, ben } = await meet();
    const one = await encrypt(ann, utf8("one"), AD, random);
    const late = await encrypt(one.ratchet, utf8("late"), AD, random);
    const heard = await decrypt(ben, one.message, AD, makeAgreementKey);
    const answer = await encrypt(heard.ratchet, utf8("answer"), AD, random);
    const turned = await decrypt(late.ratchet, answer.message, AD, makeAgreementKey);
    const next = await encrypt(turned.ratchet, utf8("next"), AD, random);
    const stepped = await decrypt(answer.ratchet, next.message, AD, makeAgreementKey);
    expect(skippedCount(stepped.ratchet)).toBe(1);
    const last = await decrypt(stepped.ratchet, late.message, AD, makeAgreementKey);
    expect([last.plaintext, skippedCount(last.ratchet)]).toEqual([utf8("late"), 0]);
  });

  test("the number 2^32 - 1 is too far ahead, wherever the chain is", async () => {
    const { ann, ben } = await meet();
    const first = await encrypt(ann, utf8("first"), AD, random);
    const { ratchet } = await decrypt(ben, first.message, AD, makeAgreementKey);
    const count = 0xffff_ffff;
    const ahead = { ...ratchet, receiving: { ...ratchet.receiving!, count } };
    const salt = random(16);
    const header = concat(ann.own.point, new Uint8Array(4), new Uint8Array(4).fill(0xff));
    const { headerKey } = ratchet.receiving!;
    const sealedHeader = await aeadSeal(headerKey, salt.slice(0, 12), header, new Uint8Array());
    const message = concat(salt, sealedHeader, new Uint8Array(16));
    const error = await rejection(decrypt(ahead, message, AD, makeAgreementKey));
    expect(error).toEqual(new RatchetError("too-far-ahead"));
  });

  test("a sender that is set back uses no key and nonce again", async () => {
    const { ann } = await meet();
    const one = await encrypt(ann, utf8("one"), AD, random);
    const other = await encrypt(ann, utf8("two"), AD, random);
    expect(one.ratchet.sending).toEqual(other.ratchet.sending);
    // Another salt: another nonce of the header, and another key of the body.
    expect(one.message.slice(0, 16)).not.toEqual(other.message.slice(0, 16));
  });

  test("kept keys stay below their bound over many chains, and the oldest go", async () => {
    let { ann, ben } = await meet();
    const lost: Bytes[] = [];
    for (let round = 0; round < 5; round += 1) {
      for (let number = 0; number < 300; number += 1) {
        const sent = await encrypt(ann, concat(Uint8Array.of(round)), AD, random);
        ann = sent.ratchet;
        if (number === 0) lost.push(sent.message);
      }
      const last = await encrypt(ann, utf8("last"), AD, random);
      ben = (await decrypt(ben, last.message, AD, makeAgreementKey)).ratchet;
      const answer = await encrypt(ben, utf8("answer"), AD, random);
      ben = answer.ratchet;
      ann = (await decrypt(last.ratchet, answer.message, AD, makeAgreementKey)).ratchet;
    }
    expect(skippedCount(ben)).toBe(MAX_SKIPPED_KEYS);
    const gone = await rejection(decrypt(ben, lost[0]!, AD, makeAgreementKey));
    expect(gone).toEqual(new RatchetError("no-header-key"));
    const kept = await decrypt(ben, lost[4]!, AD, makeAgreementKey);
    expect(kept.plaintext).toEqual(Uint8Array.of(4));
    expect(skippedCount(kept.ratchet)).toBe(MAX_SKIPPED_KEYS - 1);
    const again = await rejection(decrypt(kept.ratchet, lost[4]!, AD, makeAgreementKey));
    expect(again).toEqual(new RatchetError("key-gone"));
  });
});
