/**
 * Everything but the ratchets, in one sealed file; and a fresh browser made from it.
 *
 * The file holds people, history, settings and nodes that were added. It holds no session: two
 * devices that went on from one state would use its keys twice. A restored browser is a new device,
 * and tells each contact so at once, on a fresh session.
 */

import { decode, encode } from "@msgpack/msgpack";
import type { RandomBytes } from "../e2ee/crypto";
import { BadExport, exportBase, openExport, sealExport, WrongExportCode } from "../e2ee/export";
import { identityOf, type RecoveryCode } from "../e2ee/recovery";
import { NodeAddress } from "../network/address";
import type { KnownNode } from "../network/known-nodes";
import type { Change, Reader } from "../store/change";
import type { Database } from "../store/database";
import { identityPoint, identityText } from "../store/ids";
import { meta, setMeta } from "../store/meta";
import type { MessageRow, PersonRow } from "../store/rows";
import type { Bytes } from "../wire/bytes";
import type { ImportReport, Settings } from "./contract";
import { EngineError } from "./contract";
import { DEFAULT_SETTINGS } from "./initial-state";
import { establish } from "./own";

const VERSION = 1;
/** What is said after a restore is counted well above what was said after the file was made. */
const COUNTER_MARGIN = 1 << 20;
/** A file made by anybody who has the code: bounded all the same. */
const MAX_PEOPLE = 100_000;
const MAX_MESSAGES = 2_000_000;

/** What the file holds. Fields are only ever added. */
interface Exported {
  version: number;
  madeMs: number;
  identity: string;
  name: string;
  settings: Settings;
  people: PersonRow[];
  messages: MessageRow[];
  nodes: KnownNode[];
}

/** @throws EngineError no-identity */
export async function exportAll(
  database: Database,
  nowMs: number,
  random: RandomBytes,
): Promise<Bytes> {
  const { reader } = database;
  const base = await meta(reader, "exportBase");
  const keys = await meta(reader, "ownKeys");
  if (!base || !keys) throw new EngineError("no-identity");
  const exported: Exported = {
    version: VERSION,
    madeMs: nowMs,
    identity: identityText(keys.identity.point),
    name: (await meta(reader, "name")) ?? "",
    settings: (await meta(reader, "settings")) ?? DEFAULT_SETTINGS,
    // Draft and history are theirs; where they can be written to is looked up anew.
    people: (await reader.all("person")).map(({ unchecked: _, ...person }) => ({
      ...person,
      lookedUpMs: 0,
    })),
    messages: (await shownMessages(reader)).map(withoutBytes),
    nodes: (await reader.all("node")).filter((node) => node.source === "added"),
  };
  return await sealExport(base, encode(exported, { ignoreUndefined: true }), random);
}

async function shownMessages(reader: Reader): Promise<MessageRow[]> {
  return (await reader.all("message")).filter((row) => row.place !== null);
}

/** A file's bytes stay where they are: they are fetched again while the nodes have them. */
function withoutBytes(row: MessageRow): MessageRow {
  if (!row.file) return row;
  return { ...row, file: { ...row.file, state: "remote", progress: 0 } };
}

/** @throws EngineError bad-recovery-code, bad-export */
export async function inspectExport(file: Uint8Array, code: RecoveryCode): Promise<ImportReport> {
  return reportOf(await opened(file, code));
}

/**
 * Into an empty database, which has a new device then.
 *
 * @throws EngineError bad-recovery-code, bad-export
 */
export async function importAll(
  change: Change,
  file: Uint8Array,
  code: RecoveryCode,
): Promise<{ report: ImportReport; contacts: PersonRow[] }> {
  const exported = await opened(file, code);
  await establish(change, { code, name: exported.name, codeSaved: true });
  setMeta(change, "settings", { ...DEFAULT_SETTINGS, ...exported.settings });
  setMeta(change, "backup", { codeSaved: true, lastExportMs: exported.madeMs });
  const contacts: PersonRow[] = [];
  for (const person of exported.people) {
    const nextCounter = person.nextCounter + COUNTER_MARGIN;
    const restored = { ...person, nextCounter };
    change.put("person", restored);
    if (person.standing === "contact" && person.last) contacts.push(restored);
  }
  for (const row of exported.messages) change.put("message", settled(row));
  for (const node of exported.nodes) change.put("node", { ...node, source: "added" });
  return { report: reportOf(exported), contacts };
}

/** What no node had when the file was made is not on its way any more: Retry sends it. */
function settled(row: MessageRow): MessageRow {
  const { waiting: _, unshown: __, ...rest } = row;
  return row.mine === 1 && row.state === "saved" ? { ...rest, state: "failed" } : rest;
}

async function opened(file: Uint8Array, code: RecoveryCode): Promise<Exported> {
  let plaintext: Bytes;
  try {
    plaintext = await openExport(await exportBase(code), new Uint8Array(file));
  } catch (error) {
    if (error instanceof BadExport || error instanceof WrongExportCode) {
      throw new EngineError(error.code, error.message);
    }
    throw error;
  }
  const exported = parsed(plaintext);
  const { point } = await identityOf(code);
  if (exported.identity !== identityText(point)) throw new EngineError("bad-recovery-code");
  return exported;
}

/**
 * What the file claims to hold. Only whoever has the code can make one that opens, so its rows are
 * taken as they are once they have the shape of rows.
 */
function parsed(plaintext: Bytes): Exported {
  let found: unknown;
  try {
    found = decode(plaintext);
  } catch {
    throw new EngineError("bad-export", "not MessagePack");
  }
  if (!isExported(found)) throw new EngineError("bad-export", "not what an export holds");
  return found;
}

function isExported(found: unknown): found is Exported {
  if (typeof found !== "object" || found === null) return false;
  const { version, madeMs, identity, name, settings, people, messages, nodes } = found as Partial<
    Record<keyof Exported, unknown>
  >;
  return (
    version === VERSION &&
    typeof madeMs === "number" &&
    typeof identity === "string" &&
    typeof name === "string" &&
    typeof settings === "object" &&
    isList(people, MAX_PEOPLE, isPerson) &&
    isList(messages, MAX_MESSAGES, isMessage) &&
    isList(nodes, MAX_PEOPLE, (node) => isOrigin((node as KnownNode).origin))
  );
}

function isList(found: unknown, most: number, isItem: (item: object) => boolean): boolean {
  if (!Array.isArray(found) || found.length > most) return false;
  return found.every((item) => typeof item === "object" && item !== null && isItem(item));
}

function isPerson(item: object): boolean {
  const { identity, nextCounter, standing, lastPlace } = item as Partial<PersonRow>;
  return (
    isIdentity(identity) &&
    isCounter(nextCounter) &&
    typeof lastPlace === "number" &&
    (standing === "contact" || standing === "request" || standing === "blocked")
  );
}

function isIdentity(found: unknown): boolean {
  if (typeof found !== "string") return false;
  try {
    return identityPoint(found).length === 33;
  } catch {
    return false;
  }
}

/** Counters are below 2^53, and what a restore adds must have room. */
function isCounter(found: unknown): boolean {
  return (
    typeof found === "number" &&
    Number.isSafeInteger(found) &&
    found >= 1 &&
    found <= Number.MAX_SAFE_INTEGER / 2
  );
}

function isOrigin(found: unknown): boolean {
  if (typeof found !== "string") return false;
  try {
    return NodeAddress.parse(found).origin === found;
  } catch {
    return false;
  }
}

function isMessage(item: object): boolean {
  const { id, chat, contentId, mine, place, kind, text, sentMs, savedMs, state } =
    item as Partial<MessageRow>;
  return (
    typeof id === "string" &&
    typeof chat === "string" &&
    typeof contentId === "string" &&
    (mine === 0 || mine === 1) &&
    typeof place === "number" &&
    typeof kind === "string" &&
    typeof text === "string" &&
    typeof sentMs === "number" &&
    typeof savedMs === "number" &&
    typeof state === "string"
  );
}

function reportOf(exported: Exported): ImportReport {
  const { people, messages, madeMs, identity } = exported;
  const contacts = people.filter((person) => person.standing === "contact").length;
  return { contacts, messages: messages.length, madeMs, identity };
}
