/**
 * Writing messages: into the history and the outbox, and encrypted for devices into envelopes.
 *
 * Everything here happens in a change of the database before anything leaves: the ratchet has moved
 * on and the envelope lies in the outbox, or neither.
 */

import { type Body, type Content, decodeContents, encodeContents, Kind } from "../e2ee/content";
import type { RandomBytes } from "../e2ee/crypto";
import { ROOM_WITH_HANDSHAKE } from "../e2ee/inner";
import { split } from "../e2ee/parts";
import { type DeviceRecord, parseDeviceRecord } from "../e2ee/records";
import { seal } from "../e2ee/sealed";
import { needsStart, newPair, room, send, start } from "../e2ee/session";
import type { Change } from "../store/change";
import { identityPoint } from "../store/ids";
import { addOutgoing, addParcel } from "../store/outbox";
import { type DeviceRow, Introduction, type OutgoingRow, type PersonRow } from "../store/rows";
import { type Bytes, fromHex, hex } from "../wire/bytes";
import type { Points } from "../wire/digest";
import { type Envelope, KIND_REQUESTS } from "../wire/objects";
import { parseUserRecord } from "../wire/user-record";
import { EngineError, type Identity, type MessageId } from "./contract";
import type { Directory } from "./directory";
import type { Own } from "./own";

const HOUR_MS = 3_600_000;
/** How long a message waits for its recipient. */
export const LIFETIME_HOURS = 14 * 24;
/** A node that takes only what lives shorter is not believed: it would empty mailboxes. */
const SHORTEST_HOURS = 24;
const CONTENT_ID_BYTES = 16;
const MAX_NUMBER = Number.MAX_SAFE_INTEGER;

/** A device's record has to be looked up before anything can be encrypted for it. */
export class NoRecord extends Error {}

/** What a node's clock and limits mean for what is sealed. */
export interface Terms {
  networkId: Bytes;
  /** The latest `expiresHours` that it takes. */
  latestHours: number;
}

export function latestHours(nodeSeconds: number, maxLifetimeHours: number): number {
  const lifetime = Math.min(LIFETIME_HOURS, Math.max(SHORTEST_HOURS, maxLifetimeHours));
  return Math.floor(nodeSeconds / 3600) + lifetime;
}

/** A body for one person, with a place in the conversation. */
export interface Writing {
  person: PersonRow;
  /** The content's id; of a body in parts what its parts have in common. */
  id: MessageId;
  body: Body;
  /** A content id. */
  replyTo: MessageId | null;
  /** The message of the history that it carries; null: none is shown for it. */
  message: MessageId | null;
  /** The message whose file has to be at the nodes first. */
  upload?: MessageId;
  /** Said again with the counter that it had; null: the next one. */
  counter?: number;
  nowMs: number;
}

/** How many contents wait at once until their recipients confirm them. */
const MAX_OUTGOING = 8192;

export function isSessionRequest(outgoing: OutgoingRow): boolean {
  const contents = decodeContents(outgoing.content);
  return contents.every(({ body }) => body.kind === Kind.SESSION_REQUEST);
}

export class Addressing {
  constructor(
    private readonly own: Own,
    private readonly directory: Directory,
    private readonly points: Points,
    private readonly random: RandomBytes,
  ) {}

  /**
   * Put it into the outbox, not encrypted yet; what does not fit a message goes in parts.
   *
   * @returns the person with the next counter (it is put), the counter taken, the contents' ids.
   * @throws TooLarge more than 64 KiB.
   * @throws EngineError outbox-full: some of what waits has to be confirmed or to expire first.
   */
  async write(
    change: Change,
    writing: Writing,
  ): Promise<{ person: PersonRow; counter: number; ids: MessageId[] }> {
    const { person, nowMs } = writing;
    const bodies = this.bodies(writing);
    const waiting = (await change.keys("outgoing")).length;
    if (waiting + bodies.length > MAX_OUTGOING) throw new EngineError("outbox-full");
    const counter = writing.counter ?? person.nextCounter;
    const after =
      writing.counter === undefined
        ? { ...person, nextCounter: person.nextCounter + bodies.length }
        : person;
    change.put("person", after);
    const ids: MessageId[] = [];
    for (const [place, body] of bodies.entries()) {
      const id = bodies.length === 1 ? writing.id : hex(this.random(CONTENT_ID_BYTES));
      const content: Content = {
        id: fromHex(id),
        counter: counter + place,
        sentMs: nowMs,
        replyTo: writing.replyTo === null ? null : fromHex(writing.replyTo),
        body,
      };
      ids.push(id);
      await addOutgoing(change, {
        id,
        peer: person.identity,
        device: null,
        message: writing.message,
        content: encodeContents([content]),
        writtenMs: nowMs,
        expiresHours: Math.floor(nowMs / HOUR_MS) + LIFETIME_HOURS,
        upload: writing.upload ?? null,
      });
    }
    return { person: after, counter, ids };
  }

  /**
   * Put a session request into the outbox: what comes next is on a fresh session.
   *
   * @param device for this one only; null: for all that they have.
   */
  async requestSession(
    change: Change,
    peer: Identity,
    device: string | null,
    unread: readonly Bytes[],
    nowMs: number,
  ): Promise<void> {
    const id = this.random(CONTENT_ID_BYTES);
    const body: Body = { kind: Kind.SESSION_REQUEST, unread: [...unread] };
    await addOutgoing(change, {
      id: hex(id),
      peer,
      device,
      message: null,
      content: encodeContents([{ id, counter: 0, sentMs: nowMs, replyTo: null, body }]),
      writtenMs: nowMs,
      expiresHours: Math.floor(nowMs / HOUR_MS) + LIFETIME_HOURS,
      upload: null,
    });
  }

  /**
   * Encrypt what is in the outbox for every device it goes to.
   *
   * @param seq of the outgoing content; what counts is what is there now.
   * @returns false when no device is known.
   * @throws NoRecord a device's record has to be looked up before; nothing of the change may stay.
   */
  async address(change: Change, seq: number, terms: Terms, nowMs: number): Promise<boolean> {
    const outgoing = await change.get("outgoing", seq);
    if (outgoing?.addressed !== 0) return true;
    const devices = await this.recipients(change, outgoing, nowMs);
    if (!devices.length) return false;
    const contents = decodeContents(outgoing.content);
    const expiresHours = Math.min(outgoing.expiresHours, terms.latestHours);
    for (const device of devices) {
      const limits = { networkId: terms.networkId, latestHours: expiresHours };
      const { envelope, introduces } = await this.encrypt(change, device, contents, limits, nowMs);
      await addParcel(change, {
        outgoing: seq,
        device: device.device,
        envelopeId: hex(envelope.id),
        envelope: envelope.encoded,
        stamped: envelope.kind === KIND_REQUESTS ? 1 : 0,
        introduces,
        nextMs: 0,
      });
    }
    change.put("outgoing", { ...outgoing, addressed: 1 });
    return true;
  }

  /**
   * One envelope for one device; its sessions move on.
   *
   * Our name and contacts mailbox ride along until the device has confirmed something that they rode
   * with.
   *
   * @param terms `latestHours`: when the envelope expires.
   * @returns the envelope, and whether they ride with this one.
   * @throws NoRecord its record has to be looked up before.
   */
  async encrypt(
    change: Change,
    device: DeviceRow,
    contents: readonly Content[],
    terms: Terms,
    nowMs: number,
  ): Promise<{ envelope: Envelope; introduces: boolean }> {
    const own = await this.own.device(nowMs);
    const now = nowMs / 1000;
    const record = await this.recordOf(device);
    let pair = device.pair ?? newPair(identityPoint(device.identity), fromHex(device.device));
    let { introduction } = device;
    const fresh = contents.some((content) => content.body.kind === Kind.SESSION_REQUEST);
    if (fresh || needsStart(pair, now)) {
      if (!record || record.record.expiresHours * HOUR_MS <= nowMs) {
        throw new NoRecord("the device's record is needed to start a session");
      }
      pair = await start(pair, own, record, { now, fresh });
      introduction = Introduction.NOT_SENT;
    }
    let sent = contents;
    let introduces = false;
    if (introduction !== Introduction.CONFIRMED) {
      const introduced = [...contents, ...this.introduction(nowMs)];
      // Where there is no room left it rides on the next message.
      if (encodeContents(introduced).length <= room(pair)) {
        sent = introduced;
        introduction = Introduction.SENT;
        introduces = true;
      }
    }
    const mailbox = device.contactsMailbox ?? (await record?.requestsMailbox());
    if (!mailbox) throw new NoRecord("the device's record is needed to find its mailbox");
    if (!device.inboxKey) throw new NoRecord("the device's record is needed to seal to it");
    const next = await send(pair, own, encodeContents(sent), this.random);
    change.put("device", { ...device, pair: next.pair, introduction });
    const envelope = await seal(next.inner, {
      inboxKey: device.inboxKey,
      networkId: terms.networkId,
      mailbox,
      expiresHours: terms.latestHours,
      random: this.random,
    });
    return { envelope, introduces };
  }

  private async recipients(
    change: Change,
    outgoing: OutgoingRow,
    nowMs: number,
  ): Promise<DeviceRow[]> {
    if (outgoing.device === null) {
      return await this.directory.devices(change, outgoing.peer, nowMs);
    }
    const known = await change.get("device", [outgoing.peer, outgoing.device]);
    return known ? [known] : [];
  }

  private introduction(nowMs: number): Content[] {
    const bodies: Body[] = [
      { kind: Kind.CONTACTS_MAILBOX, mailbox: this.own.contactsMailbox },
      ...(this.own.name ? [{ kind: Kind.PROFILE, name: this.own.name } as const] : []),
    ];
    return bodies.map((body) => ({
      id: this.random(CONTENT_ID_BYTES),
      counter: 0,
      sentMs: nowMs,
      replyTo: null,
      body,
    }));
  }

  private async recordOf(device: DeviceRow): Promise<DeviceRecord | null> {
    if (!device.record) return null;
    return await parseDeviceRecord(await parseUserRecord(device.record, this.points));
  }

  private bodies({ id, body, replyTo }: Writing): readonly Body[] {
    const probe: Content = {
      id: new Uint8Array(CONTENT_ID_BYTES),
      counter: MAX_NUMBER,
      sentMs: MAX_NUMBER,
      replyTo: replyTo === null ? null : new Uint8Array(CONTENT_ID_BYTES),
      body,
    };
    if (encodeContents([probe]).length <= ROOM_WITH_HANDSHAKE) return [body];
    return split(body, ROOM_WITH_HANDSHAKE, fromHex(id));
  }
}
