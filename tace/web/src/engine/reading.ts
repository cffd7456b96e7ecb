/**
 * Opening what was pushed: unseal, decrypt, save. One transaction for each batch, before any ack.
 *
 * | an envelope that ...  | what is done with it                                                 |
 * |-----------------------|----------------------------------------------------------------------|
 * | was opened before     | acked again, nothing else                                            |
 * | does not unseal       | removed from the mailbox as junk                                     |
 * | is a duplicate        | acked: its ratchet message was opened before                         |
 * | opens                 | its contents are saved with the ratchet's new state, then it is acked |
 * | cannot be decrypted   | kept for a day, a contact is asked for a new session, then acked     |
 * | is one stranger too   | left in the mailbox until there is room                              |
 * | many                  |                                                                      |
 */

import { type Content, decodeContents } from "../e2ee/content";
import { type Inner, parseInner } from "../e2ee/inner";
import { parseHandshake } from "../e2ee/pqxdh";
import type { Prekey } from "../e2ee/prekeys";
import { Junk, unseal } from "../e2ee/sealed";
import { newPair, type Opened, receive } from "../e2ee/session";
import { keepUnreadable, unreadableOf } from "../store/arrivals";
import { type Change, prefix } from "../store/change";
import type { Database } from "../store/database";
import { identityPoint, identityText } from "../store/ids";
import { addPerson, countRequests, devicesOf, isUnchecked, newDevice } from "../store/people";
import { type DeviceRow, Introduction, type PersonRow } from "../store/rows";
import { type Bytes, hex } from "../wire/bytes";
import type { Points } from "../wire/digest";
import { Malformed } from "../wire/errors";
import { type Envelope, parseEnvelope, type Tombstone, tombstoneOf } from "../wire/objects";
import type { Addressing } from "./addressing";
import type { Identity } from "./contract";
import { listedDevices } from "./directory";
import { addReceived, summariseChanged } from "./history";
import { News } from "./news";
import type { Own } from "./own";
import { KEPT_MS } from "./retention";
import { removeUnreadable, type Saved, saveContent, sendAgain } from "./saving";

/** How many strangers may wait to be answered; what others write stays in the mailbox. */
export const MAX_REQUESTS = 200;
/** How much one of them may write before they are accepted. */
export const MAX_REQUEST_MESSAGES = 100;
/** The same in contents: parts, reactions and edits are no messages of their own. */
export const MAX_REQUEST_CONTENTS = 1000;
/** How many devices of one person are kept: 8 at a time, and those that they replaced. */
const MAX_DEVICES = 32;
/** A device is asked for a new session at most this often. */
const REQUEST_INTERVAL_MS = 3_600_000;
/** Session requests that may wait at once; whoever knows a contact can make us want one. */
const MAX_ASKED = 32;

/** What came of a batch of envelopes. */
export interface Batch extends Saved {
  /** Acks for what was saved, or needs no saving. */
  tombstones: Tombstone[];
  /** What nobody can ack: to be removed with the mailbox key. */
  junk: Envelope[];
  /** What there is no room for now: it stays in the mailbox. */
  deferred: Envelope[];
  /** A device wrote that its owner's list, as it is known here, does not name. */
  hasNewDevices: boolean;
}

export interface ReadingParts {
  database: Database;
  own: Own;
  addressing: Addressing;
  points: Points;
}

export class Reading {
  constructor(private readonly parts: ReadingParts) {}

  /** Open a batch and save what was in it. */
  async read(envelopes: readonly Envelope[], networkId: Bytes, nowMs: number): Promise<Batch> {
    const batch: Batch = {
      tombstones: [],
      junk: [],
      deferred: [],
      hasNewDevices: false,
      messages: [],
      placed: [],
      news: new News(),
      owesReceipts: false,
      sendAgain: false,
    };
    await this.parts.database.change(async (change) => {
      for (const envelope of envelopes) {
        await this.readOne(change, envelope, networkId, nowMs, batch);
      }
      await summariseChanged(change, batch.news);
    });
    return batch;
  }

  private async readOne(
    change: Change,
    envelope: Envelope,
    networkId: Bytes,
    nowMs: number,
    batch: Batch,
  ): Promise<void> {
    const id = hex(envelope.id);
    const opened = await change.get("opened", id);
    if (opened) {
      batch.tombstones.push(await tombstoneOf(envelope, opened.secret));
      return;
    }
    const unsealed = await this.unsealed(envelope, networkId);
    if (!unsealed) {
      batch.junk.push(envelope);
      return;
    }
    const { inner, secret } = unsealed;
    const identity = identityText(inner.identity);
    // Nobody else is oneself: what claims to be is let go of.
    if (identity !== this.parts.own.text) {
      if (!(await this.hasRoom(change, identity, hex(inner.device)))) {
        batch.deferred.push(envelope);
        return;
      }
      if (!(await this.open(change, inner, nowMs, batch))) {
        await this.keep(change, envelope, inner, nowMs, batch);
      }
    }
    change.put("opened", { id, secret, expiresHours: envelope.expiresHours });
    batch.tombstones.push(await tombstoneOf(envelope, secret));
  }

  private async unsealed(
    envelope: Envelope,
    networkId: Bytes,
  ): Promise<{ inner: Inner; secret: Bytes } | null> {
    try {
      const { inner, secret } = await unseal(envelope, this.parts.own.keys.inbox, networkId);
      return { inner: await parseInner(inner), secret };
    } catch (error) {
      if (error instanceof Junk || error instanceof Malformed) return null;
      throw error;
    }
  }

  /** Strangers are bounded before anything of theirs is kept. */
  private async hasRoom(change: Change, identity: Identity, device: string): Promise<boolean> {
    const person = await change.get("person", identity);
    if (!person) return (await countRequests(change)) < MAX_REQUESTS;
    // Without a session it was listed, or somebody's claim: that keeps nobody out.
    const devices = (await devicesOf(change, identity)).filter((row) => row.pair);
    const isKnown = devices.some((row) => row.device === device);
    if (!isKnown && devices.length >= MAX_DEVICES) return false;
    if (person.standing !== "request") return true;
    const owed = { range: prefix(identity), limit: MAX_REQUEST_CONTENTS } as const;
    if ((await change.keys("receipt", owed)).length >= MAX_REQUEST_CONTENTS) return false;
    const query = {
      index: "byContent",
      range: prefix(identity),
      limit: MAX_REQUEST_MESSAGES,
    } as const;
    return (await change.keys("message", query)).length < MAX_REQUEST_MESSAGES;
  }

  /** False when it cannot be decrypted. */
  private async open(change: Change, inner: Inner, nowMs: number, batch: Batch): Promise<boolean> {
    const identity = identityText(inner.identity);
    const device = hex(inner.device);
    const row = (await change.get("device", [identity, device])) ?? newDevice(identity, device);
    const pair = row.pair ?? newPair(identityPoint(identity), inner.device);
    const own = await this.parts.own.device(nowMs);
    const prekeys = await this.prekeys(change, inner);
    const outcome = await receive(pair, own, prekeys, inner, nowMs / 1000);
    switch (outcome.outcome) {
      case "duplicate":
        return true;
      case "undecryptable":
        return false;
      case "opened":
        await this.opened(change, row, inner, outcome, nowMs, batch);
        return true;
    }
  }

  private async opened(
    change: Change,
    row: DeviceRow,
    inner: Inner,
    outcome: Opened,
    nowMs: number,
    batch: Batch,
  ): Promise<void> {
    const { identity } = row;
    let device: DeviceRow = { ...row, pair: outcome.pair };
    let person = await change.get("person", identity);
    if (!person) {
      person = await addPerson(change, identity, "request", nowMs);
      batch.news.chat(identity);
    }
    if (outcome.started && inner.handshake) {
      const { certificate } = await parseHandshake(inner.handshake);
      device = { ...device, inboxKey: certificate.inboxKey };
      if (await this.isNew(change, person, row.device)) {
        // Theirs by its certificate; whether they list it is to be looked up.
        person = { ...person, lookedUpMs: 0 };
        if (!isUnchecked(person, row.device)) {
          const unchecked = [...(person.unchecked ?? []), { device: row.device, name: "" }];
          person = { ...person, unchecked };
          batch.news.chat(identity);
        }
        batch.hasNewDevices = true;
      }
    }
    // It has lost what it knew: our mailbox, and what it did not confirm.
    if (outcome.fresh) device = { ...device, introduction: Introduction.NOT_SENT };
    change.put("person", person);
    change.put("device", device);
    if (outcome.fresh) await sendAgain(change, identity, batch);
    for (const content of contentsOf(outcome.content)) {
      await saveContent(change, content, { identity, device: row.device, nowMs }, batch);
    }
    if (outcome.started) await this.readKept(change, identity, row.device, nowMs, batch);
  }

  /** A device that is not on the list that is known, or beside others where none is known. */
  private async isNew(change: Change, person: PersonRow, device: string): Promise<boolean> {
    if (person.deviceList) {
      return !(await listedDevices(person.deviceList, this.parts.points)).includes(device);
    }
    const others = await devicesOf(change, person.identity);
    return others.some((row) => row.device !== device && row.pair);
  }

  private async keep(
    change: Change,
    envelope: Envelope,
    inner: Inner,
    nowMs: number,
    batch: Batch,
  ): Promise<void> {
    const peer = identityText(inner.identity);
    const device = hex(inner.device);
    const kept = { id: hex(envelope.id), envelope: envelope.encoded, peer, device, keptMs: nowMs };
    await keepUnreadable(
      change,
      kept,
      async (each) => (await change.get("person", each)) !== undefined,
    );
    // On the word of a stranger nothing is sent, and nothing shown.
    const person = await change.get("person", peer);
    if (person?.standing !== "contact") return;
    const known = await change.get("device", [peer, device]);
    // The claim is not proved: it must not make rows without end.
    if (!known && (await devicesOf(change, peer)).length >= MAX_DEVICES) return;
    const row = known ?? newDevice(peer, device);
    if (nowMs - row.resetMs < REQUEST_INTERVAL_MS) return;
    const asked = (await change.all("outgoing")).filter((each) => each.device !== null);
    if (asked.length >= MAX_ASKED) return;
    change.put("device", { ...row, resetMs: nowMs });
    await this.parts.addressing.requestSession(change, peer, device, [envelope.id], nowMs);
    batch.sendAgain = true;
    const line = await addReceived(change, {
      chat: peer,
      contentId: kept.id.slice(0, 32),
      device,
      counter: 0,
      sentMs: nowMs,
      savedMs: nowMs,
      kind: "unreadable",
      text: "",
      replyTo: null,
      partIds: [],
      file: null,
    });
    if (line) batch.messages.push(line);
  }

  /** A new session may open what came before it and could not be read. */
  private async readKept(
    change: Change,
    identity: Identity,
    device: string,
    nowMs: number,
    batch: Batch,
  ): Promise<void> {
    const networkId = await this.networkId(change);
    if (!networkId) return;
    for (const kept of await unreadableOf(change, identity, device)) {
      if (kept.keptMs < nowMs - KEPT_MS) continue;
      const unsealed = await this.unsealed(await parseEnvelope(kept.envelope), networkId);
      if (unsealed && (await this.open(change, unsealed.inner, nowMs, batch))) {
        change.remove("unreadable", kept.id);
        await removeUnreadable(change, batch.news, identity, device);
      }
    }
  }

  private async networkId(change: Change): Promise<Bytes | undefined> {
    return (await change.get("meta", "networkId"))?.value as Bytes | undefined;
  }

  private async prekeys(change: Change, inner: Inner): Promise<ReadonlyMap<number, Prekey>> {
    const found = new Map<number, Prekey>();
    if (!inner.handshake) return found;
    try {
      const { prekeyId } = await parseHandshake(inner.handshake);
      const row = await change.get("prekey", prekeyId);
      if (row) found.set(prekeyId, row.prekey);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
    }
    return found;
  }
}

/** Nothing where their program is at fault: the ratchet has moved, and there is nothing to show. */
function contentsOf(plaintext: Bytes): Content[] {
  try {
    return decodeContents(plaintext);
  } catch (error) {
    if (error instanceof Malformed) return [];
    throw error;
  }
}
