/**
 * Safety numbers: what two people compare to know that nobody sits between them.
 *
 * The construction of Signal's numeric fingerprints: 5,200 rounds of SHA-512 per identity, 30 digits
 * each, the lower half first, so both see the same 60 digits. Only identity keys enter.
 */

import { type Bytes, compare, concat, equal, utf8 } from "../wire/bytes";
import { TaceError } from "../wire/errors";
import { POINT_BYTES } from "./crypto";
import { E2eeLabel } from "./labels";

const ROUNDS = 5200;
const FINGERPRINT_BYTES = 32;
const GROUP_BYTES = 5;
const GROUPS = 6;
const QR_HEAD = utf8("tace safety 1 ");
const QR_BYTES = QR_HEAD.length + 2 * FINGERPRINT_BYTES;

/** What was scanned is something else, which says nothing about the other person. */
export class NotASafetyCode extends TaceError {
  constructor() {
    super("not-a-safety-code", "this QR code is not a safety number");
  }
}

export interface SafetyNumber {
  /** Twelve groups of five digits. */
  readonly groups: readonly string[];
  /** What the QR code holds, 78 bytes. */
  readonly qr: Bytes;
}

/** h = SHA-512(label ‖ identity), then 5,199 times h = SHA-512(h ‖ identity); its first half. */
export async function fingerprint(identity: Bytes): Promise<Bytes> {
  if (identity.length !== POINT_BYTES) throw new RangeError("an identity has 33 bytes");
  const sha512 = (data: Bytes) => crypto.subtle.digest("SHA-512", data);
  let state = new Uint8Array(await sha512(concat(utf8(E2eeLabel.SAFETY), identity)));
  for (let round = 1; round < ROUNDS; round += 1) {
    state = new Uint8Array(await sha512(concat(state, identity)));
  }
  return state.slice(0, FINGERPRINT_BYTES);
}

/** What two identities show: the same whichever of the two looks at it. */
export async function safetyNumber(one: Bytes, other: Bytes): Promise<SafetyNumber> {
  const halves = [await fingerprint(one), await fingerprint(other)].sort(compare);
  const groups = halves.flatMap((half) =>
    Array.from({ length: GROUPS }, (_, group) => {
      const five = half.subarray(group * GROUP_BYTES, (group + 1) * GROUP_BYTES);
      // 40 bits: exact in a double.
      const value = five.reduce((sum, byte) => sum * 256 + byte, 0);
      return String(value % 100_000).padStart(GROUP_BYTES, "0");
    }),
  );
  return { groups, qr: concat(QR_HEAD, ...halves) };
}

/**
 * Does the other person's screen show the same?
 *
 * @throws NotASafetyCode that was no safety code at all.
 */
export function safetyMatches(number: SafetyNumber, scanned: Uint8Array): boolean {
  const isOne = scanned.length === QR_BYTES && equal(scanned.subarray(0, QR_HEAD.length), QR_HEAD);
  if (!isOne) throw new NotASafetyCode();
  return equal(scanned, number.qr);
}
