import { fromHex } from "../../wire/bytes";
import { parseUserRecord } from "../../wire/user-record";
import { points } from "../crypto";
import { deviceId, parseCertificate } from "../device";
import { kemPairFromSeed } from "../mlkem";
import type { OwnDevice } from "../pqxdh";
import type { Prekey } from "../prekeys";
import { type DeviceRecord, parseDeviceRecord } from "../records";
import { newPair, type Pair } from "../session";
import { Replay } from "./replay";
import { keyOf, type WrittenKey } from "./vectors";

/** One device as vector files write it. */
export interface WrittenDevice {
  readonly device_key: WrittenKey;
  readonly inbox_key: WrittenKey;
  readonly certificate: string;
  readonly prekey: { id: number; ec: WrittenKey; kem_seed: string; kem_public: string };
  readonly device_record: string;
}

/** A device of a vector file, with its sessions towards one other. */
export interface RecordedDevice {
  readonly own: OwnDevice;
  readonly record: DeviceRecord;
  readonly prekey: Prekey;
  readonly prekeys: ReadonlyMap<number, Prekey>;
  readonly source: Replay;
}

export async function recordedDevice(written: WrittenDevice): Promise<RecordedDevice> {
  const agreement = await keyOf(written.device_key);
  const certificate = await parseCertificate(fromHex(written.certificate));
  const { privateKey, publicKey } = await kemPairFromSeed(fromHex(written.prekey.kem_seed));
  const prekey: Prekey = {
    id: written.prekey.id,
    agreement: await keyOf(written.prekey.ec),
    kem: privateKey,
    kemPublic: publicKey,
    madeSeconds: 0,
    listedUntilHours: 0,
  };
  const record = await parseUserRecord(fromHex(written.device_record), points);
  return {
    own: { keys: { id: await deviceId(agreement.point), agreement }, certificate },
    record: await parseDeviceRecord(record),
    prekey,
    prekeys: new Map([[prekey.id, prekey]]),
    source: new Replay(),
  };
}

/** No session yet with that device. */
export function pairWith(other: RecordedDevice): Pair {
  return newPair(other.own.certificate.identity, other.own.keys.id);
}
