/**
 * An engine that is made up: the whole of the contract in memory, without keys and network. The
 * interface is built and tested on it, so it behaves: what is sent is saved, stored and delivered
 * over the given clock, search finds, failures can be ordered.
 */

import { type Clock, systemClock } from "../network/clock";
import type {
  Chat,
  ContactCard,
  ContactPreview,
  DeliveryDetails,
  Engine,
  EngineEvent,
  EngineState,
  Identity,
  ImportReport,
  Message,
  MessageId,
  MessagePage,
  NodeView,
  PageRequest,
  RingView,
  SafetyNumber,
  SearchHit,
  SearchRequest,
  SearchResult,
  Settings,
} from "./contract";
import { EngineError } from "./contract";
import { fold, marksIn } from "./folding";
import { DEFAULT_SETTINGS } from "./initial-state";
import {
  emptyChat,
  type Seed,
  sampleCode,
  sampleIdentity,
  sampleMe,
  sampleNodes,
  sampleRing,
  sampleSeed,
} from "./sample";

const MAX_TEXT_BYTES = 65_536;
const MAX_FILE_BYTES = 63_472;
const RECOVERY_CODE = "7K3Q9-ZX4TM-0WVBN-82HCE-5RYDP-GA61F";
const STORED_AFTER_MS = 400;
const DELIVERED_AFTER_MS = 900;
const FILE_STEP_MS = 150;
const QUOTE_CHARACTERS = 200;
const EXCERPT_CHARACTERS = 40;

/** An engine with several chats. `bulk`: how many messages the long chat holds. */
export function sampleEngine(options: { time?: Clock; bulk?: number } = {}): FakeEngine {
  const time = options.time ?? systemClock;
  return new FakeEngine(sampleSeed(time.now(), options.bulk), time);
}

/** A browser in which nobody has started yet: phase new. */
export function emptyEngine(options: { time?: Clock } = {}): FakeEngine {
  const time = options.time ?? systemClock;
  const now = time.now();
  return fakeEngine(
    {
      me: null,
      chats: [],
      messages: [],
      nodes: sampleNodes(now).slice(0, 1),
      ring: sampleRing(now),
    },
    time,
  );
}

export function fakeEngine(seed: Seed, time: Clock = systemClock): FakeEngine {
  return new FakeEngine(seed, time);
}

export class FakeEngine implements Engine {
  state: EngineState;
  private readonly listeners = new Set<(event: EngineEvent) => void>();
  private readonly people = new Map<Identity, Chat>();
  private readonly history = new Map<Identity, Message[]>();
  private readonly files = new Map<MessageId, Uint8Array>();
  private nodeList: NodeView[];
  private readonly ringView: RingView;
  private nextPlace = 1;
  private code: string | null = null;

  constructor(
    seed: Seed,
    private readonly time: Clock,
  ) {
    for (const chat of seed.chats) {
      this.people.set(chat.identity, { ...chat });
      this.history.set(chat.identity, []);
    }
    for (const message of seed.messages) {
      this.history.get(message.chat)?.push({ ...message });
      this.nextPlace = Math.max(this.nextPlace, message.place + 1);
    }
    this.nodeList = seed.nodes;
    this.ringView = seed.ring;
    if (seed.me) this.code = RECOVERY_CODE;
    this.state = {
      phase: { at: seed.me ? "ready" : "new" },
      me: seed.me,
      connection: seed.me
        ? { at: "connected", via: "websocket", node: this.inboxNode(), sinceMs: time.now() }
        : { at: "connecting", node: null },
      unread: 0,
      requests: 0,
      waiting: 0,
      storage: { persistent: null, usedBytes: 1_400_000, quotaBytes: 2_000_000_000 },
      backup: { codeSaved: false, lastExportMs: null },
      settings: DEFAULT_SETTINGS,
    };
    for (const chat of this.people.values()) this.refresh(chat);
    this.state = { ...this.state, ...this.counts() };
  }

  subscribe(listener: (event: EngineEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  // -- what only tests and demonstrations do ----------------------------------------------------

  /** Puts anything into the state, and tells. */
  become(change: Partial<EngineState>): void {
    this.state = { ...this.state, ...change, ...this.counts() };
    this.emit({ event: "state", state: this.state });
  }

  /** Something arrives from somebody; a stranger's becomes a request. */
  receive(identity: Identity, text: string, more: Partial<Message> = {}): Message {
    let chat = this.people.get(identity);
    if (!chat) {
      chat = { ...emptyChat(identity, "", this.time.now()), standing: "request" };
      this.people.set(identity, chat);
    }
    const message = this.put(chat, false, this.randomId(), text, { state: "delivered", ...more });
    chat.unread += 1;
    chat.firstUnread ??= message.id;
    this.changed(chat, [message.id]);
    const request = chat.standing === "request";
    this.emit({ event: "arrived", chat: identity, request, ids: [message.id] });
    return message;
  }

  /** The node in use goes away, and another takes over. */
  failOver(): void {
    const from = this.inboxNode();
    const to = this.nodeList.find((node) => node.origin !== from)?.origin ?? from;
    this.nodeList = this.nodeList.map((node) => ({
      ...node,
      inbox: node.origin === to,
      health: node.origin === from ? "failing" : node.health,
    }));
    this.become({
      connection: { at: "connected", via: "websocket", node: to, sinceMs: this.time.now() },
    });
    this.emit({ event: "failover", from, to });
  }

  // -- queries ------------------------------------------------------------------------------------

  async chats(): Promise<Chat[]> {
    return [...this.people.values()]
      .map((chat) => ({ ...chat }))
      .sort((a, b) => b.activeMs - a.activeMs);
  }

  async chat(identity: Identity): Promise<Chat | null> {
    const chat = this.people.get(identity);
    return chat ? { ...chat } : null;
  }

  async messages(chat: Identity, request: PageRequest): Promise<MessagePage> {
    const all = this.history.get(chat) ?? [];
    const { start, end } = windowOf(all, request);
    return {
      messages: all.slice(start, end).map((message) => ({ ...message })),
      hasEarlier: start > 0,
      hasLater: end < all.length,
    };
  }

  async details(id: MessageId): Promise<DeliveryDetails> {
    const { state, savedMs } = this.find(id);
    const reached = { saved: 0, failed: 0, stored: 1, delivered: 2, read: 3 }[state];
    return {
      state,
      copies: reached >= 1 ? 3 : 0,
      of: 4,
      node: reached >= 1 ? this.inboxNode() : null,
      storedMs: reached >= 1 ? savedMs + STORED_AFTER_MS : null,
      deliveredMs: reached >= 2 ? savedMs + DELIVERED_AFTER_MS : null,
      readMs: reached >= 3 ? savedMs + 60_000 : null,
      attempts: state === "failed" ? 37 : 1,
      nextAttemptMs: state === "saved" ? this.time.now() + 2_000 : null,
      refusal: state === "failed" ? "quota" : null,
      parts: 1,
      expiresMs: savedMs + 14 * 24 * 3_600_000,
    };
  }

  async search(request: SearchRequest): Promise<SearchResult> {
    const wanted = fold(request.text);
    const hits: SearchHit[] = [];
    for (const chat of this.people.values()) {
      if (request.chat ? chat.identity !== request.chat : chat.standing !== "contact") continue;
      for (const message of this.history.get(chat.identity) ?? []) {
        const text = message.file ? message.file.name : message.text;
        if (message.kind !== "text" && message.kind !== "file") continue;
        if (request.from && (request.from === "me") !== message.mine) continue;
        if (request.sinceMs !== undefined && message.sentMs < request.sinceMs) continue;
        if (request.untilMs !== undefined && message.sentMs > request.untilMs) continue;
        if (request.filesOnly && !message.file) continue;
        const first = marksIn(text, wanted)[0];
        if (wanted && !first) continue;
        const from = Math.max(0, (first?.[0] ?? 0) - EXCERPT_CHARACTERS);
        const excerpt = text.slice(from, from + 4 * EXCERPT_CHARACTERS);
        hits.push({
          id: message.id,
          chat: chat.identity,
          title: chat.title,
          mine: message.mine,
          sentMs: message.sentMs,
          kind: message.kind,
          text: excerpt,
          marks: wanted ? marksIn(excerpt, wanted) : [],
        });
      }
    }
    hits.sort((a, b) => b.sentMs - a.sentMs);
    return { total: hits.length, hits: hits.slice(0, request.limit) };
  }

  async previewContact(text: string): Promise<ContactPreview> {
    const code = codeIn(text);
    if (!code) throw new EngineError("bad-link");
    const identity = this.identityOf(code);
    const chat = this.people.get(identity);
    if (identity === this.state.me?.identity) {
      return { identity, code, standing: "me", title: this.state.me.name };
    }
    return {
      identity,
      code,
      standing: chat?.standing ?? "unknown",
      title: chat?.title ?? `${code.slice(0, 13)}…`,
    };
  }

  async safetyNumber(identity: Identity): Promise<SafetyNumber> {
    const groups: string[] = [];
    let state = 17;
    for (let group = 0; group < 12; group += 1) {
      state = (state * 7919 + identity.charCodeAt(group)) % 1_000_003;
      groups.push(String(state % 100_000).padStart(5, "0"));
    }
    const qr = new Uint8Array(78);
    qr.set(new TextEncoder().encode(`tace safety 1 ${identity}`.slice(0, 78)));
    return { groups, qr };
  }

  async recoveryCode(): Promise<string> {
    if (!this.code || this.state.backup.codeSaved) throw new EngineError("code-forgotten");
    return this.code;
  }

  async checkRecoveryCode(code: string): Promise<boolean> {
    return normalised(code) === normalised(RECOVERY_CODE);
  }

  async exportContacts(): Promise<ContactCard[]> {
    return [...this.people.values()]
      .filter((chat) => chat.standing === "contact")
      .map((chat) => ({ code: chat.code, name: chat.title, verified: chat.verified }));
  }

  async fileBytes(id: MessageId): Promise<Uint8Array> {
    const bytes = this.files.get(id);
    if (!bytes) throw new EngineError("no-file");
    return bytes;
  }

  // -- the identity -------------------------------------------------------------------------------

  async create(name: string): Promise<void> {
    if (this.state.me) throw new EngineError("identity-exists");
    this.code = RECOVERY_CODE;
    this.begin(name);
  }

  async restore(code: string, name: string): Promise<void> {
    if (this.state.me) throw new EngineError("identity-exists");
    if (normalised(code).length !== 30) throw new EngineError("bad-recovery-code");
    this.begin(name);
    this.become({ backup: { codeSaved: true, lastExportMs: null } });
  }

  async codeSaved(): Promise<void> {
    this.code = null;
    this.become({ backup: { ...this.state.backup, codeSaved: true } });
  }

  async setName(name: string): Promise<void> {
    if (this.state.me) this.become({ me: { ...this.state.me, name } });
  }

  async setSettings(settings: Partial<Settings>): Promise<void> {
    this.become({ settings: { ...this.state.settings, ...settings } });
  }

  async forget(): Promise<void> {
    const gone = [...this.people.keys()];
    this.people.clear();
    this.history.clear();
    this.code = null;
    this.emit({ event: "chats", identities: gone });
    this.become({
      phase: { at: "new" },
      me: null,
      connection: { at: "connecting", node: null },
      backup: { codeSaved: false, lastExportMs: null },
      settings: DEFAULT_SETTINGS,
    });
  }

  // -- people -------------------------------------------------------------------------------------

  async addContact(text: string, alias: string): Promise<Identity> {
    const preview = await this.previewContact(text);
    if (preview.standing === "me") throw new EngineError("own-link");
    const known = this.people.get(preview.identity);
    const chat = known ?? emptyChat(preview.identity, "", this.time.now());
    chat.code = preview.code;
    if (alias) chat.alias = alias;
    chat.standing = "contact";
    this.people.set(chat.identity, chat);
    this.changed(chat);
    return chat.identity;
  }

  accept(identity: Identity): Promise<void> {
    return this.change(identity, { standing: "contact" });
  }

  block(identity: Identity): Promise<void> {
    return this.change(identity, { standing: "blocked", unread: 0, firstUnread: null });
  }

  unblock(identity: Identity): Promise<void> {
    return this.change(identity, { standing: "contact" });
  }

  async deleteChat(identity: Identity): Promise<void> {
    this.people.delete(identity);
    this.history.delete(identity);
    this.emit({ event: "chats", identities: [identity] });
    this.become({});
  }

  async clearHistory(identity: Identity): Promise<void> {
    const ids = (this.history.get(identity) ?? []).map((message) => message.id);
    this.history.set(identity, []);
    const chat = this.people.get(identity);
    if (!chat) return;
    chat.unread = 0;
    chat.firstUnread = null;
    this.changed(chat, ids);
  }

  setChat(
    identity: Identity,
    change: Partial<Pick<Chat, "alias" | "muted" | "pinned" | "archived" | "retentionDays">>,
  ): Promise<void> {
    return this.change(identity, change);
  }

  setVerified(identity: Identity, verified: boolean): Promise<void> {
    return this.change(identity, { verified });
  }

  async scanSafety(identity: Identity, scanned: Uint8Array): Promise<boolean> {
    const { qr } = await this.safetyNumber(identity);
    const head = new TextDecoder().decode(scanned.subarray(0, 14));
    if (scanned.length !== 78 || head !== "tace safety 1 ") {
      throw new EngineError("not-a-safety-code");
    }
    const same = scanned.every((byte, at) => byte === qr[at]);
    if (same) await this.setVerified(identity, true);
    return same;
  }

  newDeviceSeen(identity: Identity): Promise<void> {
    return this.change(identity, { newDeviceSinceMs: null });
  }

  // -- messages -----------------------------------------------------------------------------------

  async send(
    identity: Identity,
    id: MessageId,
    text: string,
    replyTo: MessageId | null,
  ): Promise<void> {
    if (new TextEncoder().encode(text).length > MAX_TEXT_BYTES) throw new EngineError("too-large");
    this.sendMessage(identity, id, text, replyTo, {});
  }

  async sendFile(
    identity: Identity,
    id: MessageId,
    file: { name: string; type: string; bytes: Uint8Array },
    replyTo: MessageId | null,
  ): Promise<void> {
    if (file.bytes.length > MAX_FILE_BYTES) throw new EngineError("too-large");
    this.files.set(id, file.bytes);
    this.sendMessage(identity, id, "", replyTo, {
      kind: "file",
      file: {
        name: file.name,
        type: file.type,
        bytes: file.bytes.length,
        state: "here",
        progress: 1,
      },
    });
  }

  async edit(id: MessageId, text: string): Promise<void> {
    this.update(id, { text, edited: true });
  }

  async deleteMessage(id: MessageId): Promise<void> {
    const message = this.find(id);
    if (message.mine) {
      this.update(id, { kind: "deleted", text: "", reactions: [], file: null });
      return;
    }
    const all = this.history.get(message.chat) ?? [];
    this.history.set(
      message.chat,
      all.filter((each) => each.id !== id),
    );
    const chat = this.people.get(message.chat);
    if (chat) this.changed(chat, [id]);
  }

  async react(id: MessageId, emoji: string): Promise<void> {
    const reactions = this.find(id)
      .reactions.map((reaction) => ({ ...reaction, mine: false }))
      .filter((reaction) => reaction.theirs);
    const same = reactions.find((reaction) => reaction.emoji === emoji);
    if (same) same.mine = true;
    else if (emoji) reactions.push({ emoji, mine: true, theirs: false });
    this.update(id, { reactions });
  }

  async retry(id: MessageId): Promise<void> {
    this.update(id, { state: "saved" });
    this.travel(id);
  }

  async markRead(identity: Identity, place: number): Promise<void> {
    const chat = this.people.get(identity);
    if (!chat) return;
    const all = this.history.get(identity) ?? [];
    const left = all.filter((each) => !each.mine && each.place > place);
    const unread = left.slice(-Math.min(chat.unread, left.length) || left.length);
    chat.unread = unread.length;
    chat.firstUnread = unread[0]?.id ?? null;
    this.changed(chat);
  }

  setDraft(identity: Identity, text: string): Promise<void> {
    return this.change(identity, { draft: text });
  }

  async fetchFile(id: MessageId): Promise<void> {
    const { file } = this.find(id);
    if (!file || file.state === "here") return;
    const step = (progress: number): void => {
      if (progress < 1) {
        this.update(id, { file: { ...file, state: "moving", progress } });
        this.time.after(FILE_STEP_MS, () => step(progress + 0.25));
        return;
      }
      this.files.set(id, new Uint8Array(file.bytes));
      this.update(id, { file: { ...file, state: "here", progress: 1 } });
    };
    step(0);
  }

  // -- nodes --------------------------------------------------------------------------------------

  async nodes(): Promise<NodeView[]> {
    return this.nodeList.map((node) => ({ ...node }));
  }

  async ring(): Promise<RingView> {
    if (this.state.connection.at !== "connected") throw new EngineError("no-node");
    return { ...this.ringView, askedMs: this.time.now() };
  }

  async addNode(origin: string): Promise<void> {
    if (!/^https?:\/\/[a-z0-9.:[\]-]+$/.test(origin)) throw new EngineError("bad-origin", origin);
    if (this.nodeList.some((node) => node.origin === origin)) return;
    const like = sampleNodes(this.time.now())[1] as NodeView;
    this.nodeList = [...this.nodeList, { ...like, origin, outbox: false, health: "good" }];
  }

  async removeNode(origin: string): Promise<void> {
    this.nodeList = this.nodeList.filter((node) => node.origin !== origin);
  }

  async useNode(origin: string): Promise<void> {
    if (!this.nodeList.some((node) => node.origin === origin)) throw new EngineError("no-node");
    this.nodeList = this.nodeList.map((node) => ({ ...node, inbox: node.origin === origin }));
    this.become({
      connection: { at: "connected", via: "websocket", node: origin, sinceMs: this.time.now() },
    });
  }

  async connectNow(): Promise<void> {
    this.become({ connection: { at: "connecting", node: this.inboxNode() } });
    this.time.after(STORED_AFTER_MS, () => {
      const node = this.inboxNode();
      this.become({
        connection: { at: "connected", via: "websocket", node, sinceMs: this.time.now() },
      });
      for (const all of this.history.values()) {
        for (const message of all) if (message.state === "saved") this.travel(message.id);
      }
    });
  }

  // -- export and import --------------------------------------------------------------------------

  async exportAll(): Promise<Uint8Array> {
    this.become({ backup: { ...this.state.backup, lastExportMs: this.time.now() } });
    return new TextEncoder().encode("tace export, made up");
  }

  async inspectExport(file: Uint8Array, code: string): Promise<ImportReport> {
    if (!new TextDecoder().decode(file).startsWith("tace export")) {
      throw new EngineError("bad-export");
    }
    if (!(await this.checkRecoveryCode(code))) throw new EngineError("bad-recovery-code");
    const seed = sampleSeed(this.time.now());
    return {
      contacts: seed.chats.filter((chat) => chat.standing === "contact").length,
      messages: seed.messages.length,
      madeMs: this.time.now() - 86_400_000,
      identity: sampleIdentity(0),
    };
  }

  async importAll(file: Uint8Array, code: string): Promise<ImportReport> {
    if (this.state.me) throw new EngineError("identity-exists");
    const report = await this.inspectExport(file, code);
    const seed = sampleSeed(this.time.now());
    for (const chat of seed.chats) this.people.set(chat.identity, chat);
    for (const chat of seed.chats) this.history.set(chat.identity, []);
    for (const message of seed.messages) this.history.get(message.chat)?.push(message);
    for (const chat of seed.chats) this.refresh(chat);
    this.emit({ event: "chats", identities: [...this.people.keys()] });
    this.begin(seed.me?.name ?? "");
    this.become({ backup: { codeSaved: true, lastExportMs: report.madeMs } });
    return report;
  }

  async importContacts(cards: ContactCard[]): Promise<number> {
    let added = 0;
    for (const card of cards) {
      const { identity, standing } = await this.previewContact(card.code).catch(() => {
        throw new EngineError("bad-contacts");
      });
      if (standing !== "unknown") continue;
      await this.addContact(card.code, card.name);
      await this.setVerified(identity, card.verified);
      added += 1;
    }
    return added;
  }

  async askPersistence(): Promise<boolean> {
    this.become({ storage: { ...this.state.storage, persistent: true } });
    return true;
  }

  // -- inside -------------------------------------------------------------------------------------

  private begin(name: string): void {
    const node = this.inboxNode();
    this.become({
      phase: { at: "ready" },
      me: sampleMe(name),
      connection: { at: "connected", via: "websocket", node, sinceMs: this.time.now() },
    });
  }

  private inboxNode(): string {
    const node = this.nodeList.find((each) => each.inbox) ?? this.nodeList[0];
    return node?.origin ?? "https://node1.example.org";
  }

  private identityOf(code: string): Identity {
    for (const chat of this.people.values()) if (chat.code === code) return chat.identity;
    if (this.state.me?.code === code) return this.state.me.identity;
    return `A${code.slice(5, 48)}`;
  }

  private sendMessage(
    identity: Identity,
    id: MessageId,
    text: string,
    replyTo: MessageId | null,
    more: Partial<Message>,
  ): void {
    const chat = this.people.get(identity);
    if (!chat) throw new EngineError("unknown-chat");
    if (chat.standing === "blocked") throw new EngineError("blocked");
    const all = this.history.get(identity) ?? [];
    // Asked twice it is sent once.
    if (all.some((each) => each.id === id)) return;
    const quoted = all.find((each) => each.id === replyTo);
    this.put(chat, true, id, text, {
      state: "saved",
      replyTo: quoted
        ? {
            id: quoted.id,
            mine: quoted.mine,
            kind: quoted.kind,
            text: (quoted.file?.name ?? quoted.text).slice(0, QUOTE_CHARACTERS),
          }
        : null,
      ...more,
    });
    chat.draft = "";
    this.changed(chat, [id]);
    this.travel(id);
  }

  private travel(id: MessageId): void {
    if (this.state.connection.at !== "connected") return;
    this.time.after(STORED_AFTER_MS, () => this.update(id, { state: "stored" }));
    this.time.after(DELIVERED_AFTER_MS, () => this.update(id, { state: "delivered" }));
  }

  private put(
    chat: Chat,
    mine: boolean,
    id: MessageId,
    text: string,
    more: Partial<Message>,
  ): Message {
    const now = this.time.now();
    const message: Message = {
      id,
      chat: chat.identity,
      mine,
      place: this.nextPlace++,
      kind: "text",
      text,
      sentMs: now,
      savedMs: now,
      state: "saved",
      edited: false,
      replyTo: null,
      reactions: [],
      file: null,
      ...more,
    };
    const all = this.history.get(chat.identity) ?? [];
    all.push(message);
    this.history.set(chat.identity, all);
    return message;
  }

  private find(id: MessageId): Message {
    for (const all of this.history.values()) {
      const found = all.find((message) => message.id === id);
      if (found) return found;
    }
    throw new EngineError("unknown-message");
  }

  private update(id: MessageId, change: Partial<Message>): void {
    const message = this.find(id);
    Object.assign(message, change);
    const chat = this.people.get(message.chat);
    if (chat) this.changed(chat, [id]);
  }

  private async change(identity: Identity, change: Partial<Chat>): Promise<void> {
    const chat = this.people.get(identity);
    if (!chat) throw new EngineError("unknown-chat");
    Object.assign(chat, change);
    this.changed(chat);
  }

  private changed(chat: Chat, ids: MessageId[] = []): void {
    this.refresh(chat);
    if (ids.length) this.emit({ event: "messages", chat: chat.identity, ids });
    this.emit({ event: "chats", identities: [chat.identity] });
    const { unread, requests, waiting } = this.state;
    const counts = this.counts();
    if (counts.unread !== unread || counts.requests !== requests || counts.waiting !== waiting) {
      this.become({});
    }
  }

  private refresh(chat: Chat): void {
    const last = this.history.get(chat.identity)?.at(-1);
    chat.title = chat.alias || chat.name || `${sampleCodeStart(chat)}…`;
    chat.last = last
      ? {
          mine: last.mine,
          kind: last.kind,
          text: chat.standing === "request" ? "" : (last.file?.name ?? last.text),
          sentMs: last.sentMs,
          state: last.state,
        }
      : null;
    if (last) chat.activeMs = last.savedMs;
  }

  private counts(): Pick<EngineState, "unread" | "requests" | "waiting"> {
    let unread = 0;
    let requests = 0;
    let waiting = 0;
    for (const chat of this.people.values()) {
      if (chat.standing === "request") requests += 1;
      if (chat.standing === "contact" && !chat.muted) unread += chat.unread;
      for (const message of this.history.get(chat.identity) ?? []) {
        if (message.mine && message.state === "saved") waiting += 1;
      }
    }
    return { unread, requests, waiting };
  }

  private randomId(): MessageId {
    return `f${(this.nextPlace + 0x1000).toString(16)}`.padEnd(32, "0");
  }

  private emit(event: EngineEvent): void {
    for (const listener of [...this.listeners]) listener(event);
  }
}

function sampleCodeStart(chat: Chat): string {
  return (chat.code || sampleCode(chat.identity)).slice(0, 13);
}

function codeIn(text: string): string | null {
  const tail = text.trim().slice(text.trim().lastIndexOf("#") + 1);
  const code = tail.replace(/[\s-]/g, "").toLowerCase();
  return /^tace1[0-9a-z]{58}$/.test(code) ? code : null;
}

function normalised(code: string): string {
  return code.replace(/[\s-]/g, "").toUpperCase().replace(/[IL]/g, "1").replace(/O/g, "0");
}

function windowOf(all: Message[], request: PageRequest): { start: number; end: number } {
  const { limit } = request;
  if (request.around !== undefined) {
    const at = all.findIndex((message) => message.id === request.around);
    const start = Math.max(0, (at < 0 ? all.length : at) - Math.floor(limit / 2));
    return { start, end: Math.min(all.length, start + limit) };
  }
  if (request.after !== undefined) {
    const after = request.after;
    const found = all.findIndex((message) => message.place > after);
    const start = found < 0 ? all.length : found;
    return { start, end: Math.min(all.length, start + limit) };
  }
  const before = request.before ?? Number.POSITIVE_INFINITY;
  const found = all.findIndex((message) => message.place >= before);
  const end = found < 0 ? all.length : found;
  return { start: Math.max(0, end - limit), end };
}
