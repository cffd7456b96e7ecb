import { describe, expect, test } from "vitest";
import { type Bytes, fromHex, hex } from "../wire/bytes";
import { Malformed } from "../wire/errors";
import { consumedTag, parseInner } from "./inner";
import { activeSession, newPair, type Outcome, type Pair, receive, send, start } from "./session";
import {
  pairWith,
  type RecordedDevice,
  recordedDevice,
  type WrittenDevice,
} from "./testing/recorded-device";
import { load } from "./testing/vectors";

type Name = "ann" | "ben";

interface Devices {
  readonly now: number;
  readonly identities: Readonly<Record<Name, string>>;
  readonly ann: WrittenDevice;
  readonly ben: WrittenDevice;
}

interface SessionVector extends Devices {
  readonly kem_ciphertext: string;
  readonly kem_shared: string;
  readonly start_random: readonly string[];
  readonly messages: readonly {
    readonly by: Name;
    readonly content: string;
    readonly random: readonly string[];
    readonly recipient_random: readonly string[];
    readonly session_id: string;
    readonly consumed_tag: string;
    readonly inner: string;
  }[];
  readonly first_messages: readonly {
    readonly about: string;
    readonly at: number;
    readonly bytes: string;
    readonly now: number;
    readonly outcome: string;
  }[];
}

interface WrittenKem {
  readonly kem_ciphertext: string;
  readonly kem_shared: string;
}

interface WrittenEvent {
  readonly by: Name;
  readonly random: readonly string[];
  readonly sessions: readonly { id: string; handshake_rides: boolean; only_receives: boolean }[];
}

type PairEvent = WrittenEvent &
  (
    | ({ readonly event: "start"; readonly fresh: boolean } & WrittenKem)
    | { readonly event: "send"; readonly content: string; readonly inner: string }
    | {
        readonly event: "deliver";
        readonly message: number;
        readonly duplicate?: true;
        readonly opened: string;
        readonly session_id: string;
        readonly started: boolean;
        readonly fresh: boolean;
      }
  );

interface PairsVector extends Devices {
  readonly cases: readonly { readonly about: string; readonly events: readonly PairEvent[] }[];
}

/** Two devices of a vector file, and the state of each towards the other. */
class Recorded {
  private constructor(
    readonly devices: Readonly<Record<Name, RecordedDevice>>,
    readonly pairs: Record<Name, Pair>,
    private readonly now: number,
  ) {}

  static async from(given: Devices): Promise<Recorded> {
    const [ann, ben] = [await recordedDevice(given.ann), await recordedDevice(given.ben)];
    expect(hex(ann.own.certificate.identity)).toBe(given.identities.ann);
    expect(hex(ben.own.certificate.identity)).toBe(given.identities.ben);
    return new Recorded({ ann, ben }, { ann: pairWith(ben), ben: pairWith(ann) }, given.now);
  }

  async start(by: Name, fresh: boolean, kem: WrittenKem): Promise<void> {
    const { own, source } = this.devices[by];
    const { record } = this.devices[by === "ann" ? "ben" : "ann"];
    const shared = fromHex(kem.kem_shared);
    const ciphertext = fromHex(kem.kem_ciphertext);
    const encapsulate = async () => ({ shared, ciphertext });
    const draws = { agreementKey: source.agreementKey, encapsulate };
    this.pairs[by] = await start(this.pairs[by], own, record, { now: this.now, fresh, draws });
  }

  async send(by: Name, content: Bytes): Promise<Bytes> {
    const { own, source } = this.devices[by];
    const sent = await send(this.pairs[by], own, content, source.random);
    this.pairs[by] = sent.pair;
    return sent.inner;
  }

  async receive(by: Name, bytes: Bytes): Promise<Outcome> {
    const { own, prekeys, source } = this.devices[by];
    const inner = await parseInner(bytes);
    const pair = this.pairs[by];
    const outcome = await receive(pair, own, prekeys, inner, this.now, source.agreementKey);
    if (outcome.outcome === "opened") this.pairs[by] = outcome.pair;
    return outcome;
  }
}

/** What the device says of its first message from whoever it claims to come from. */
async function firstOutcome(device: RecordedDevice, bytes: Bytes, now: number): Promise<string> {
  const { own, prekeys, source } = device;
  try {
    const inner = await parseInner(bytes);
    const pair = newPair(inner.identity, inner.device);
    const outcome = await receive(pair, own, prekeys, inner, now, source.agreementKey);
    const word = outcome.outcome === "undecryptable" ? outcome.reason : outcome.outcome;
    return word.replace("-", " ");
  } catch (error) {
    if (error instanceof Malformed) return "junk";
    throw error;
  }
}

describe("vectors", () => {
  const given = load<SessionVector>("e2ee/session.json");
  test.each(given.first_messages)("a first message: $about", async (changed) => {
    const ben = await recordedDevice(given.ben);
    const [message] = given.messages;
    const bytes = fromHex(message!.inner);
    bytes.set(fromHex(changed.bytes), changed.at);
    ben.source.feed(message!.recipient_random);
    expect(await firstOutcome(ben, bytes, changed.now)).toBe(changed.outcome);
  });

  test("four messages of a session, byte for byte", async () => {
    const recorded = await Recorded.from(given);
    const { ann, ben } = recorded.devices;
    ann.source.feed(given.start_random);
    await recorded.start("ann", false, given);
    const rides: boolean[] = [];
    for (const message of given.messages) {
      const [from, to] = message.by === "ann" ? [ann, ben] : [ben, ann];
      from.source.feed(message.random);
      const bytes = await recorded.send(message.by, fromHex(message.content));
      expect(hex(bytes)).toBe(message.inner);
      const inner = await parseInner(bytes);
      expect(hex(inner.identity)).toBe(given.identities[message.by]);
      expect(hex(await consumedTag(inner))).toBe(message.consumed_tag);
      to.source.feed(message.recipient_random);
      const outcome = await recorded.receive(message.by === "ann" ? "ben" : "ann", bytes);
      if (outcome.outcome !== "opened") throw new Error(outcome.outcome);
      expect(hex(outcome.content)).toBe(message.content);
      expect(hex(outcome.session)).toBe(message.session_id);
      expect([ann.source.left, ben.source.left]).toEqual([0, 0]);
      rides.push(inner.handshake !== null);
    }
    expect(rides).toEqual([true, true, false, false]);
  });

  const pairs = load<PairsVector>("e2ee/pairs.json");
  test.each(pairs.cases)("$about", async ({ events }) => {
    const recorded = await Recorded.from(pairs);
    const sent: Bytes[] = [];
    for (const event of events) {
      const { source } = recorded.devices[event.by];
      source.feed(event.random);
      if (event.event === "start") {
        await recorded.start(event.by, event.fresh, event);
      } else if (event.event === "send") {
        const inner = await recorded.send(event.by, fromHex(event.content));
        expect(hex(inner)).toBe(event.inner);
        sent.push(inner);
      } else {
        const outcome = await recorded.receive(event.by, sent[event.message]!);
        if (event.duplicate) expect(outcome).toEqual({ outcome: "duplicate" });
        else {
          if (outcome.outcome !== "opened") throw new Error(outcome.outcome);
          expect({
            opened: hex(outcome.content),
            session_id: hex(outcome.session),
            started: outcome.started,
            fresh: outcome.fresh,
          }).toEqual({
            opened: event.opened,
            session_id: event.session_id,
            started: event.started,
            fresh: event.fresh,
          });
        }
      }
      expect(source.left).toBe(0);
      const found = recorded.pairs[event.by].sessions.map((session) => ({
        id: hex(session.id),
        handshake_rides: session.handshake !== null,
        only_receives: session.onlyReceives,
      }));
      expect(found).toEqual(event.sessions);
    }
    const [annSends, benSends] = [recorded.pairs.ann, recorded.pairs.ben].map(activeSession);
    expect(annSends?.id).toEqual(benSends?.id);
  });
});
