import { describe, expect, test } from "vitest";
import { type Bytes, concat, fromHex, hex } from "../wire/bytes";
import { Malformed } from "../wire/errors";
import { agree } from "./crypto";
import { signCertificate } from "./device";
import {
  DRAWS,
  deriveKeys,
  Expired,
  HANDSHAKE_BYTES,
  initiate,
  isFresh,
  parseHandshake,
  respond,
  type SessionKeys,
  sessionId,
} from "./pqxdh";
import { DAY, NOW, Person } from "./testing/person";
import { recordedDevice, type WrittenDevice } from "./testing/recorded-device";
import { Replay } from "./testing/replay";
import { changed, keyOf, load, rejection, type WrittenKey } from "./testing/vectors";

const given = load<{
  now: number;
  initiator: WrittenDevice;
  responder: WrittenDevice;
  responder_identity: string;
  ephemeral: WrittenKey & { seed: string };
  fresh: boolean;
  kem_ciphertext: string;
  kem_shared: string;
  agreements: readonly string[];
  handshake: string;
  session_id: string;
  transcript: string;
  root: string;
  initiator_header: string;
  responder_header: string;
}>("e2ee/pqxdh.json");

const WRITTEN_KEYS = {
  transcript: given.transcript,
  root: given.root,
  initiatorHeader: given.initiator_header,
  responderHeader: given.responder_header,
};

function inHex(keys: SessionKeys): typeof WRITTEN_KEYS {
  return {
    transcript: hex(keys.transcript),
    root: hex(keys.root),
    initiatorHeader: hex(keys.initiatorHeader),
    responderHeader: hex(keys.responderHeader),
  };
}

describe("vector", () => {
  test("the initiator makes this handshake and these keys", async () => {
    const initiator = await recordedDevice(given.initiator);
    const responder = await recordedDevice(given.responder);
    expect(hex(responder.record.identity)).toBe(given.responder_identity);
    const source = new Replay();
    source.feed([given.ephemeral.seed]);
    const { handshake, keys } = await initiate(initiator.own, responder.record, {
      now: given.now,
      fresh: given.fresh,
      draws: {
        agreementKey: source.agreementKey,
        encapsulate: async (publicKey) => {
          expect(hex(publicKey)).toBe(given.responder.prekey.kem_public);
          return { shared: fromHex(given.kem_shared), ciphertext: fromHex(given.kem_ciphertext) };
        },
      },
    });
    expect(hex(handshake)).toBe(given.handshake);
    expect(hex(await sessionId(handshake))).toBe(given.session_id);
    expect(inHex(keys)).toEqual(WRITTEN_KEYS);
    expect(isFresh(handshake)).toBe(true);
  });

  test("the responder reaches them from the handshake", async () => {
    const { own, prekey } = await recordedDevice(given.responder);
    const encoded = fromHex(given.handshake);
    const handshake = await parseHandshake(encoded);
    expect(hex(handshake.certificate.encoded)).toBe(given.initiator.certificate);
    expect(hex(handshake.ephemeral)).toBe(given.ephemeral.public);
    expect(hex(handshake.kemCiphertext)).toBe(given.kem_ciphertext);
    expect([handshake.fresh, handshake.prekeyId]).toEqual([true, prekey.id]);
    expect(inHex(await respond(encoded, handshake, own, prekey, given.now))).toEqual(WRITTEN_KEYS);
  });

  test("each agreement, and what follows from them", async () => {
    const device = await keyOf(given.initiator.device_key);
    const ephemeral = await keyOf(given.ephemeral);
    const prekey = fromHex(given.responder.prekey.ec.public);
    const agreements = [
      await agree(device, prekey),
      await agree(ephemeral, fromHex(given.responder.device_key.public)),
      await agree(ephemeral, prekey),
    ];
    expect(agreements.map(hex)).toEqual(given.agreements);
    const shared = fromHex(given.kem_shared);
    const keys = await deriveKeys(agreements, shared, fromHex(given.transcript));
    expect(inHex(keys)).toEqual(WRITTEN_KEYS);
  });
});

describe("a start", () => {
  async function begun(fresh = false) {
    const [ann, ben] = [await Person.make(), await Person.make()];
    const terms = { now: NOW, fresh, draws: DRAWS };
    return { ann, ben, ...(await initiate(ann.own, ben.record, terms)) };
  }

  async function response(ben: Person, encoded: Bytes, now = NOW): Promise<SessionKeys> {
    const [prekey] = ben.prekeys.values();
    return await respond(encoded, await parseHandshake(encoded), ben.own, prekey!, now);
  }

  test("both sides reach the same keys, and no third one", async () => {
    const { ben, handshake, keys } = await begun();
    expect(await response(ben, handshake)).toEqual(keys);
    const eve = await response(await Person.make(), handshake);
    for (const name of ["transcript", "root", "initiatorHeader", "responderHeader"] as const) {
      expect(eve[name]).not.toEqual(keys[name]);
    }
  });

  test("a handshake that was changed is refused, or gives other keys", async () => {
    const { ben, handshake, keys } = await begun();
    for (let at = 0; at < HANDSHAKE_BYTES; at += 7) {
      const bytes = changed(handshake, at, at % 8);
      try {
        const others = await response(ben, bytes);
        expect(others.root, `byte ${at}`).not.toEqual(keys.root);
        expect(others.transcript, `byte ${at}`).not.toEqual(keys.transcript);
      } catch (error) {
        expect(error, `byte ${at}`).toBeInstanceOf(Malformed);
      }
    }
  });

  test("flags that are not known, a wrong length, no point", async () => {
    const { handshake } = await begun();
    const noPoint = handshake.slice();
    noPoint.fill(0, 168, 201);
    const wrong = [
      changed(handshake, 0, 1),
      changed(handshake, 0, 7),
      noPoint,
      handshake.slice(1),
      concat(handshake, Uint8Array.of(0)),
      new Uint8Array(),
    ];
    for (const encoded of wrong) {
      expect(await rejection(parseHandshake(encoded))).toBeInstanceOf(Malformed);
    }
    expect([isFresh(handshake), isFresh(new Uint8Array())]).toEqual([false, false]);
  });

  test("not on a record that is over, and not with an own certificate that is", async () => {
    const [ann, ben] = [await Person.make(), await Person.make()];
    const end = ben.record.record.expiresHours * 3600;
    const at = (now: number) => ({ now, fresh: false, draws: DRAWS });
    expect((await initiate(ann.own, ben.record, at(end - 1))).handshake).toHaveLength(1293);
    const over = await rejection(initiate(ann.own, ben.record, at(end)));
    expect(over).toBeInstanceOf(Expired);
    const own = {
      ...ann.own,
      certificate: await signCertificate(ann.identity, ann.keys, NOW / 3600),
    };
    const ended = await rejection(initiate(own, ben.record, at(NOW)));
    expect(ended).toBeInstanceOf(Expired);
  });

  test("one that waited for more than 30 days after the certificate's end is over", async () => {
    const { ann, ben, handshake, keys } = await begun();
    const last = ann.own.certificate.expiresHours * 3600 + 30 * DAY;
    expect(await response(ben, handshake, last)).toEqual(keys);
    expect(await rejection(response(ben, handshake, last + 1))).toBeInstanceOf(Expired);
  });
});
