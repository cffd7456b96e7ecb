/**
 * One device that does what it is told: lines of JSON in, lines of JSON out, bytes in hexadecimal.
 *
 * tests/e2ee/test_web_interop.py bundles and runs it, to play the Python side against this one.
 */

import { createInterface } from "node:readline";
import { type Bytes, fromHex, hex } from "../../wire/bytes";
import { makeEnvelope, parseEnvelope } from "../../wire/objects";
import { parseUserRecord } from "../../wire/user-record";
import { type Content, decodeContents, encodeContents } from "../content";
import { points } from "../crypto";
import { exportBase, openExport, sealExport } from "../export";
import { parseInner } from "../inner";
import { contactCode, parseLink } from "../link";
import type { DeviceRecord } from "../records";
import { parseDeviceList, parseDeviceRecord, signDeviceList } from "../records";
import { parseRecoveryCode } from "../recovery";
import { safetyNumber } from "../safety";
import { seal, unseal } from "../sealed";
import { newPair, type Pair, receive, send, start } from "../session";
import { stampSearch } from "../stamp";
import { NOW, Person } from "./person";

/** What a command is given and what it gives. */
interface Line {
  readonly [name: string]: unknown;
}

const random = (count: number): Bytes => crypto.getRandomValues(new Uint8Array(count));

class Device {
  #peer: DeviceRecord | undefined;
  #pair: Pair | undefined;

  constructor(readonly person: Person) {}

  /** What the other side has to know. */
  async publish(): Promise<Line> {
    const { identity, keys, record, own } = this.person;
    const listed = { device: keys.id, addedHours: 7 };
    const signing = { sequence: 3n, expiresHours: record.record.expiresHours };
    return {
      record: hex(record.record.encoded),
      device_list: hex(await signDeviceList(identity, [listed], signing)),
      certificate: hex(own.certificate.encoded),
      contact_code: await contactCode(identity.point),
    };
  }

  /** Takes the other's record, and forgets the sessions there were. */
  async meet(line: Line): Promise<Line> {
    const record = await parseUserRecord(bytes(line, "record"), points);
    const list = await parseUserRecord(bytes(line, "device_list"), points);
    const peer = await parseDeviceRecord(record);
    const { devices } = await parseDeviceList(list);
    const link = await parseLink(text(line, "contact_code"));
    this.#peer = peer;
    this.#pair = newPair(peer.identity, peer.device);
    return {
      device: hex(peer.device),
      inbox_key: hex(peer.inboxKey),
      listed: devices.map(({ device, addedHours }) => [hex(device), addedHours]),
      requests_mailbox: hex(await peer.requestsMailbox()),
      safety: (await safetyNumber(this.person.identity.point, link.identity)).groups.join(" "),
    };
  }

  async start(line: Line): Promise<Line> {
    const fresh = line.fresh === true;
    this.#pair = await start(this.pair, this.person.own, this.peer, { now: NOW, fresh });
    return { session: hex(this.#pair.sessions[0]!.id) };
  }

  async send(line: Line): Promise<Line> {
    const content = bytes(line, "content");
    const { pair, inner } = await send(this.pair, this.person.own, content, random);
    this.#pair = pair;
    return { inner: hex(inner), session: hex(pair.sessions[0]!.id) };
  }

  async receive(line: Line): Promise<Line> {
    const inner = await parseInner(bytes(line, "inner"));
    const { own, prekeys } = this.person;
    const outcome = await receive(this.pair, own, prekeys, inner, NOW);
    if (outcome.outcome === "duplicate") return { outcome: outcome.outcome };
    if (outcome.outcome === "undecryptable") {
      return { outcome: outcome.outcome, reason: outcome.reason };
    }
    this.#pair = outcome.pair;
    return {
      outcome: outcome.outcome,
      content: hex(outcome.content),
      session: hex(outcome.session),
      started: outcome.started,
      fresh: outcome.fresh,
      sends: hex(outcome.pair.sessions[0]!.id),
    };
  }

  /** An inner message in a stamped envelope to the other's inbox. */
  async seal(line: Line): Promise<Line> {
    const unstamped = await seal(bytes(line, "inner"), {
      inboxKey: this.peer.inboxKey,
      networkId: bytes(line, "network_id"),
      mailbox: await this.peer.requestsMailbox(),
      expiresHours: number(line, "expires_hours"),
      random,
    });
    const stampTarget = number(line, "target");
    const stampNonce = [...stampSearch(unstamped.id, stampTarget)].at(-1);
    if (typeof stampNonce !== "bigint") throw new Error("no nonce was found");
    const { mailbox, expiresHours, lock, blob } = unstamped;
    const parts = { mailbox, expiresHours, lock, blob, stampTarget, stampNonce };
    return { envelope: hex((await makeEnvelope(parts)).encoded) };
  }

  async unseal(line: Line): Promise<Line> {
    const envelope = await parseEnvelope(bytes(line, "envelope"));
    const { inbox } = this.person.keys;
    const { secret, inner } = await unseal(envelope, inbox, bytes(line, "network_id"));
    return { secret: hex(secret), inner: hex(inner) };
  }

  /** Contents read and written again. */
  async contents(line: Line): Promise<Line> {
    const contents: Content[] = decodeContents(bytes(line, "contents"));
    return {
      contents: hex(encodeContents(contents)),
      kinds: contents.map(({ body }) => body.kind),
    };
  }

  /** An export file opened, and sealed again under the same code. */
  async export(line: Line): Promise<Line> {
    const base = await exportBase(await parseRecoveryCode(text(line, "code")));
    const content = await openExport(base, bytes(line, "file"));
    return { content: hex(content), file: hex(await sealExport(base, content, random)) };
  }

  private get peer(): DeviceRecord {
    if (!this.#peer) throw new Error("nobody was met");
    return this.#peer;
  }

  private get pair(): Pair {
    if (!this.#pair) throw new Error("nobody was met");
    return this.#pair;
  }
}

function text(line: Line, name: string): string {
  const value = line[name];
  if (typeof value !== "string") throw new TypeError(`${name} is no text`);
  return value;
}

function bytes(line: Line, name: string): Bytes {
  return fromHex(text(line, name));
}

function number(line: Line, name: string): number {
  const value = line[name];
  if (typeof value !== "number") throw new TypeError(`${name} is no number`);
  return value;
}

async function answer(device: Device, line: Line): Promise<Line> {
  switch (line.do) {
    case "publish":
      return await device.publish();
    case "meet":
      return await device.meet(line);
    case "start":
      return await device.start(line);
    case "send":
      return await device.send(line);
    case "receive":
      return await device.receive(line);
    case "seal":
      return await device.seal(line);
    case "unseal":
      return await device.unseal(line);
    case "contents":
      return await device.contents(line);
    case "export":
      return await device.export(line);
    default:
      throw new TypeError("no such command");
  }
}

const device = new Device(await Person.make());
for await (const line of createInterface({ input: process.stdin })) {
  let told: Line;
  try {
    told = await answer(device, JSON.parse(line));
  } catch (error) {
    told = { error: error instanceof Error ? error.constructor.name : "unknown" };
  }
  process.stdout.write(`${JSON.stringify(told)}\n`);
}
