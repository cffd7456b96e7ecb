/** The identity and the device of this browser: made once, kept in its database. */

import { type Certificate, type DeviceKeys, makeDeviceKeys, signCertificate } from "../e2ee/device";
import { exportBase } from "../e2ee/export";
import type { OwnDevice } from "../e2ee/pqxdh";
import { recordExpiryHours } from "../e2ee/records";
import { type IdentityKey, identityOf, type RecoveryCode } from "../e2ee/recovery";
import type { Change, Reader } from "../store/change";
import { identityText } from "../store/ids";
import { meta, setMeta } from "../store/meta";
import type { Bytes } from "../wire/bytes";
import type { MailboxKey } from "../wire/mailbox-proof";
import { KIND_CONTACTS, KIND_REQUESTS, mailboxId } from "../wire/objects";
import type { Identity } from "./contract";
import { DEFAULT_SETTINGS } from "./initial-state";

const CERTIFICATE_RENEWED_AFTER_MS = 24 * 3_600_000;
export const MAX_NAME = 64;

/** As it lies in the database: none of the private keys can be taken out of it. */
export interface OwnKeys {
  identity: IdentityKey;
  device: DeviceKeys;
}

/** Who this browser is, and with which device. */
export class Own {
  readonly text: Identity;
  private certified: { device: OwnDevice; atMs: number } | null = null;

  private constructor(
    private readonly made: OwnKeys,
    readonly deviceId: Bytes,
    readonly contactsMailbox: Bytes,
    /** What this user is called; "" for nobody. */
    public name: string,
  ) {
    this.text = identityText(made.identity.point);
  }

  /** null: nobody has started in this browser yet. */
  static async load(reader: Reader): Promise<Own | null> {
    const made = await meta(reader, "ownKeys");
    if (!made) return null;
    const name = (await meta(reader, "name")) ?? "";
    const contacts = await mailboxId(made.device.contacts.point, KIND_CONTACTS);
    return new Own(made, made.device.id, contacts, name);
  }

  /** The 33 bytes of the identity. */
  get point(): Bytes {
    return this.made.identity.point;
  }

  get identity(): IdentityKey {
    return this.made.identity;
  }

  get keys(): DeviceKeys {
    return this.made.device;
  }

  get mailboxes(): readonly MailboxKey[] {
    const { contacts, requests } = this.made.device;
    return [
      { privateKey: contacts.privateKey, publicKey: contacts.point, kind: KIND_CONTACTS },
      { privateKey: requests.privateKey, publicKey: requests.point, kind: KIND_REQUESTS },
    ];
  }

  /** This device as a party to sessions, with a certificate of today. */
  async device(nowMs: number): Promise<OwnDevice> {
    const age = this.certified ? nowMs - this.certified.atMs : -1;
    if (!this.certified || age < 0 || age >= CERTIFICATE_RENEWED_AFTER_MS) {
      const expires = recordExpiryHours(nowMs / 1000);
      const certificate: Certificate = await signCertificate(this.identity, this.keys, expires);
      this.certified = { device: { keys: this.keys, certificate }, atMs: nowMs };
    }
    return this.certified.device;
  }
}

/** What a new identity, or a restored one, puts into an empty database. */
export interface Establishing {
  code: RecoveryCode;
  name: string;
  /** A restored one's code is on paper already. */
  codeSaved: boolean;
}

/** The keys are made first: an IndexedDB transaction does not wait for them. */
export async function establish(change: Change, establishing: Establishing): Promise<void> {
  const { code, name, codeSaved } = establishing;
  setMeta(change, "ownKeys", { identity: await identityOf(code), device: await makeDeviceKeys() });
  setMeta(change, "exportBase", await exportBase(code));
  setMeta(change, "name", [...name].slice(0, MAX_NAME).join(""));
  setMeta(change, "settings", DEFAULT_SETTINGS);
  setMeta(change, "backup", { codeSaved, lastExportMs: null });
  if (!codeSaved) setMeta(change, "recoveryCode", code.secret);
}
