/**
 * Made-up people and messages for an engine that is made up ("./fake"): enough of everything that
 * an interface has to show, so that it can be built, looked at and tested without a network.
 */

import type { Chat, Identity, Me, Message, NodeView, RingView } from "./contract";

/** What a made-up engine begins with. */
export interface Seed {
  me: Me | null;
  chats: Chat[];
  messages: Message[];
  nodes: NodeView[];
  ring: RingView;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const BASE32 = "0123456789abcdefghjkmnpqrstvwxyz";

/** A well-formed identity for a number; the same number gives the same one. */
export function sampleIdentity(number: number): Identity {
  return `A${String(number).padStart(2, "0")}${"tAcE".repeat(11)}`.slice(0, 44);
}

/** A well-formed contact code for an identity. */
export function sampleCode(identity: Identity): string {
  let state = 7;
  let code = "tace1";
  for (let at = 0; at < 58; at += 1) {
    state = (state * 31 + identity.charCodeAt(at % identity.length) + at) % 1_000_003;
    code += BASE32[state % 32];
  }
  return code;
}

/** A chat with nothing in it. */
export function emptyChat(identity: Identity, name: string, activeMs: number): Chat {
  return {
    identity,
    title: name || `${sampleCode(identity).slice(0, 13)}…`,
    name,
    alias: "",
    code: sampleCode(identity),
    standing: "contact",
    verified: false,
    newDeviceSinceMs: null,
    unlistedDevice: false,
    uncheckedDevice: false,
    muted: false,
    pinned: false,
    archived: false,
    retentionDays: "global",
    unread: 0,
    firstUnread: null,
    draft: "",
    last: null,
    activeMs,
  };
}

const LINES = [
  "Did you get the tickets?",
  "Yes, two, row 14. The good ones were gone within a minute.",
  "Wonderful. I'll bring something to eat.",
  "No cheese this time, please 🙏",
  "That was once, and it was a very good cheese.",
  "It was warm, it was July, and we sat in the middle of the row.",
  "Point taken. Grapes?",
  "Grapes are safe.",
  "Shall we meet at the bridge at seven? There is always a crowd in front of the hall, and I never find anybody there.",
  "Seven is fine. If it rains I'll wait under the arcade instead.",
];

class Writer {
  readonly messages: Message[] = [];
  private number = 0;

  constructor(private readonly nowMs: number) {}

  add(
    chat: Chat,
    mine: boolean,
    agoMs: number,
    text: string,
    more: Partial<Message> = {},
  ): Message {
    this.number += 1;
    const sentMs = this.nowMs - agoMs;
    const message: Message = {
      id: this.number.toString(16).padStart(32, "0"),
      chat: chat.identity,
      mine,
      place: this.number,
      kind: "text",
      text,
      sentMs,
      savedMs: sentMs + (mine ? 0 : 900),
      state: "delivered",
      edited: false,
      replyTo: null,
      reactions: [],
      file: null,
      ...more,
    };
    this.messages.push(message);
    return message;
  }
}

/**
 * Several chats in every state an interface has to show.
 *
 * @param bulk how many messages the chat with Mary Somerville holds.
 */
export function sampleSeed(nowMs: number, bulk = 60): Seed {
  const writer = new Writer(nowMs);
  const person = (number: number, name: string, more: Partial<Chat> = {}): Chat => ({
    ...emptyChat(sampleIdentity(number), name, nowMs),
    ...more,
  });

  const grace = person(1, "Grace Hopper", {
    alias: "Grace",
    title: "Grace",
    verified: true,
    pinned: true,
  });
  LINES.forEach((line, at) => {
    writer.add(grace, at % 2 === 1, DAY + (LINES.length - at) * 7 * MINUTE, line);
  });
  const question = writer.add(grace, false, 50 * MINUTE, "Found a moth in the relay. Photo?");
  writer.add(grace, true, 48 * MINUTE, "Of course! Is it still alive?", {
    replyTo: { id: question.id, mine: false, kind: "text", text: question.text },
    reactions: [{ emoji: "😂", mine: false, theirs: true }],
  });
  writer.add(grace, false, 45 * MINUTE, "", {
    kind: "file",
    file: { name: "moth.jpg", type: "image/jpeg", bytes: 48_213, state: "remote", progress: 0 },
  });
  writer.add(grace, true, 40 * MINUTE, "The first bug that was really a bug.", {
    state: "read",
    edited: true,
    reactions: [{ emoji: "👍", mine: true, theirs: true }],
  });
  writer.add(grace, false, 38 * MINUTE, "", { kind: "deleted" });
  writer.add(grace, true, 12 * MINUTE, "I put it into the logbook.", { state: "delivered" });
  writer.add(grace, true, 4 * MINUTE, "Are you at the bridge already?", { state: "stored" });
  writer.add(grace, true, MINUTE, "Under the arcade, I mean", { state: "saved" });

  const alan = person(2, "Alan Turing", {
    newDeviceSinceMs: nowMs - 3 * HOUR,
    draft: "About the chess problem: ",
  });
  writer.add(alan, false, 2 * DAY, "Can you read this?");
  writer.add(alan, true, 2 * DAY - HOUR, "Every word.", { state: "failed" });
  writer.add(alan, false, 3 * HOUR, "", { kind: "unreadable" });
  writer.add(alan, false, 2 * HOUR, "", { kind: "newer" });
  const unread = writer.add(
    alan,
    false,
    90 * MINUTE,
    "New machine. Check our safety number when you can?",
  );
  writer.add(
    alan,
    false,
    89 * MINUTE,
    "https://example.org/a/very/long/link?that=wraps&and=wraps&again=because-it-has-no-spaces",
  );
  alan.unread = 2;
  alan.firstUnread = unread.id;

  const omar = person(3, "عمر الخيام", { muted: true });
  writer.add(omar, false, 5 * HOUR, "مرحبا! كيف حالك اليوم؟");
  writer.add(omar, true, 5 * HOUR - MINUTE, "بخير، شكرا. And you?");
  const muted = writer.add(omar, false, 4 * HOUR, "كل شيء جيد 🌙");
  omar.unread = 1;
  omar.firstUnread = muted.id;

  const mary = person(4, "Mary Somerville", { retentionDays: 365 });
  for (let at = 0; at < bulk; at += 1) {
    writer.add(
      mary,
      at % 3 === 1,
      6 * HOUR + (bulk - at) * 11 * MINUTE,
      `${LINES[at % LINES.length]} (${at + 1})`,
    );
  }

  const emmy = person(5, "Emmy Noether", { archived: true, unlistedDevice: true });
  writer.add(emmy, true, 40 * DAY, "Symmetry, again!");
  writer.add(emmy, false, 40 * DAY - HOUR, "Always <b>symmetry</b> & conservation.");

  const stranger = person(6, "Hypatia", { standing: "request" });
  const asked = writer.add(stranger, false, 20 * MINUTE, "Hello, Grace gave me your link.");
  stranger.unread = 1;
  stranger.firstUnread = asked.id;
  const nameless = person(7, "", { standing: "request" });
  const second = writer.add(nameless, false, 9 * DAY, "hi");
  nameless.unread = 1;
  nameless.firstUnread = second.id;
  const blocked = person(8, "Buy Coins Now", { standing: "blocked" });
  writer.add(blocked, false, 12 * DAY, "Best offer!!!");

  const me = sampleMe("Ada");
  return {
    me,
    chats: [grace, alan, omar, mary, emmy, stranger, nameless, blocked],
    messages: writer.messages,
    nodes: sampleNodes(nowMs),
    ring: sampleRing(nowMs),
  };
}

export function sampleMe(name: string): Me {
  const identity = sampleIdentity(0);
  const code = sampleCode(identity);
  return { identity, name, code, link: `https://node1.example.org/#${code}` };
}

/** Three nodes: the one in use, one that the user added, one that fails. */
export function sampleNodes(nowMs: number): NodeView[] {
  const node = (number: number, more: Partial<NodeView>): NodeView => ({
    origin: `https://node${number}.example.org`,
    nodeId: String(number).repeat(64),
    source: "met",
    inbox: false,
    outbox: false,
    health: "unknown",
    roundTripMs: null,
    lastSeenMs: null,
    lastFailure: null,
    software: "tace 0.4.0",
    ...more,
  });
  const seen = { lastSeenMs: nowMs - 20_000 };
  return [
    node(1, { source: "here", inbox: true, health: "good", roundTripMs: 18, ...seen }),
    node(2, { source: "added", outbox: true, health: "slow", roundTripMs: 640, ...seen }),
    node(3, { health: "failing", lastSeenMs: nowMs - DAY, lastFailure: "no-node" }),
    node(4, { nodeId: null, software: "" }),
  ];
}

export function sampleRing(nowMs: number): RingView {
  const positions = [0.02, 0.11, 0.19, 0.34, 0.36, 0.52, 0.61, 0.77, 0.83, 0.95];
  return {
    members: positions.length,
    state: "member",
    items: 1_284,
    bytes: 4_700_000,
    positions: positions.map((at, number) => ({
      at,
      node: number.toString(16).repeat(64),
      own: number === 3,
    })),
    askedMs: nowMs,
  };
}
