import type { Bytes } from "../../wire/bytes";
import { parseUserRecord } from "../../wire/user-record";
import { points, type RandomBytes } from "../crypto";
import { type DeviceKeys, makeDeviceKeys, signCertificate } from "../device";
import { parseInner } from "../inner";
import type { OwnDevice } from "../pqxdh";
import { makePrekey, type Prekey } from "../prekeys";
import {
  type DeviceRecord,
  parseDeviceRecord,
  recordExpiryHours,
  signDeviceRecord,
} from "../records";
import { type IdentityKey, identityOf, makeRecoveryCode } from "../recovery";
import { newPair, type Outcome, type Pair, receive, send, start } from "../session";

/** Seconds since 1970, at which every person of the tests begins. */
export const NOW = 1_800_000_000;
export const DAY = 24 * 3600;

const random: RandomBytes = (count) => crypto.getRandomValues(new Uint8Array(count));

/** Of a new recovery code. */
export function generateIdentity(): Promise<IdentityKey> {
  return identityOf(makeRecoveryCode(random));
}

/** One identity with one device that is published, and its sessions with one other device. */
export class Person {
  now = NOW;
  prekeys: ReadonlyMap<number, Prekey>;
  #pair: Pair | undefined;

  private constructor(
    readonly identity: IdentityKey,
    readonly keys: DeviceKeys,
    prekey: Prekey,
    readonly own: OwnDevice,
    readonly record: DeviceRecord,
  ) {
    this.prekeys = new Map([[prekey.id, prekey]]);
  }

  static async make(): Promise<Person> {
    const identity = await generateIdentity();
    const keys = await makeDeviceKeys();
    const expiresHours = recordExpiryHours(NOW);
    const prekey = await makePrekey(1, { now: NOW, listedUntilHours: expiresHours });
    const signing = { sequence: BigInt(NOW), expiresHours };
    const encoded = await signDeviceRecord(identity, keys, prekey, signing);
    const record = await parseDeviceRecord(await parseUserRecord(encoded, points));
    const certificate = await signCertificate(identity, keys, expiresHours);
    return new Person(identity, keys, prekey, { keys, certificate }, record);
  }

  /** The state towards the other: what was stored, or none yet. */
  pairWith(other: Person): Pair {
    return this.#pair ?? newPair(other.own.certificate.identity, other.own.keys.id);
  }

  /** As a disk does. */
  store(pair: Pair | undefined): void {
    this.#pair = pair;
  }

  async start(other: Person, fresh = false): Promise<void> {
    const pair = this.pairWith(other);
    this.store(await start(pair, this.own, other.record, { now: this.now, fresh }));
  }

  /** An inner message to the other's device. */
  async send(other: Person, content: Bytes): Promise<Bytes> {
    const { pair, inner } = await send(this.pairWith(other), this.own, content, random);
    this.store(pair);
    return inner;
  }

  /** Opens it; the next state is kept. */
  async receive(other: Person, inner: Bytes): Promise<Outcome> {
    const { own, prekeys, now } = this;
    const parsed = await parseInner(inner);
    const outcome = await receive(this.pairWith(other), own, prekeys, parsed, now);
    if (outcome.outcome === "opened") this.store(outcome.pair);
    return outcome;
  }
}
