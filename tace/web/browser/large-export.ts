/** What an export holds, made up: one contact, and as many messages with them as are wanted. */

import { encode } from "@msgpack/msgpack";
import { makeSigningKey } from "../src/e2ee/crypto";
import { parseLink } from "../src/e2ee/link";
import { DEFAULT_SETTINGS } from "../src/engine/initial-state";
import { identityText } from "../src/store/ids";
import type { MessageRow, PersonRow } from "../src/store/rows";
import { type Bytes, hex } from "../src/wire/bytes";

const BEGUN_MS = Date.UTC(2026, 0, 1);
const MINUTE_MS = 60_000;
const TOPICS = ["the lake", "a boat", "the wind", "last night", "a stone", "nothing much"];

/** @param link of whose export it is. The contact is called "Many". */
export async function largeExport(link: string, count: number): Promise<Bytes> {
  const { identity } = await parseLink(link);
  const chat = identityText((await makeSigningKey()).point);
  const messages = Array.from({ length: count }, (_, index) => message(chat, index));
  const sentMs = BEGUN_MS + count * MINUTE_MS;
  const person: PersonRow = {
    identity: chat,
    name: "Many",
    deviceList: null,
    lookedUpMs: 0,
    nextCounter: count + 1,
    alias: "",
    standing: "contact",
    verified: false,
    newDeviceSinceMs: null,
    unlistedDevice: false,
    muted: false,
    pinned: false,
    archived: false,
    retentionDays: "global",
    draft: "",
    unread: 0,
    firstUnread: null,
    last: { mine: false, kind: "text", text: "the last one", sentMs, state: "delivered" },
    activeMs: sentMs,
    lastPlace: count,
  };
  const exported = {
    version: 1,
    madeMs: sentMs,
    identity: identityText(identity),
    name: "Alice",
    settings: DEFAULT_SETTINGS,
    people: [person],
    messages,
    nodes: [],
  };
  return new Uint8Array(encode(exported, { ignoreUndefined: true }));
}

function message(chat: string, index: number): MessageRow {
  const id = hex(new Uint8Array(new BigUint64Array([BigInt(index), 1n]).buffer));
  const sentMs = BEGUN_MS + index * MINUTE_MS;
  const mine = index % 3 === 0;
  return {
    id,
    chat,
    contentId: id,
    mine: mine ? 1 : 0,
    place: index + 1,
    kind: "text",
    text: `Message number ${index} is about ${TOPICS[index % TOPICS.length]}, and some more words.`,
    sentMs,
    savedMs: sentMs,
    state: "delivered",
    device: "",
    counter: index + 1,
    editCounter: 0,
    replyTo: null,
    partIds: [],
    myReaction: null,
    theirReaction: null,
    file: null,
    delivery: null,
  };
}
