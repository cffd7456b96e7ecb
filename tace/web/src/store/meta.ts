/** Single values that outlive a reload, by name and type. */

import type { BackupState, Settings } from "../engine/contract";
import type { OwnKeys } from "../engine/own";
import type { Bytes } from "../wire/bytes";
import type { Change, Reader } from "./change";

export interface Metas {
  /** The recovery code's 16 bytes, until the person says that it is saved. */
  recoveryCode: Bytes;
  /** What the keys of this device are, as the crypto keeps them. */
  ownKeys: OwnKeys;
  /** From which export files are sealed: a non-extractable HKDF key. */
  exportBase: CryptoKey;
  name: string;
  settings: Settings;
  backup: BackupState;
  /** 32 bytes, pinned by the first node that was used. */
  networkId: Bytes;
  /** The identity was restored elsewhere. */
  replaced: boolean;
  /** Origin of the node to collect at, when the user has chosen. */
  chosenNode: string;
  /** When nodes were last asked for others. */
  learnedMs: number;
  /** Where the count of what is said to a new person begins. */
  counterFloor: number;
  /** The last number given to an outgoing content, a parcel or an arrival. */
  sequence: number;
}

export async function meta<K extends keyof Metas>(
  reader: Reader,
  name: K,
): Promise<Metas[K] | undefined> {
  const row = await reader.get("meta", name);
  // `setMeta` is the only one that writes them.
  return row?.value as Metas[K] | undefined;
}

export function setMeta<K extends keyof Metas>(change: Change, name: K, value: Metas[K]): void {
  change.put("meta", { name, value });
}

export function removeMeta(change: Change, name: keyof Metas): void {
  change.remove("meta", name);
}

/** A number that was never given before: what remembers one while it waits is never misled. */
export async function nextSequence(change: Change): Promise<number> {
  const next = ((await meta(change, "sequence")) ?? 0) + 1;
  setMeta(change, "sequence", next);
  return next;
}
