/**
 * What a page may ask of the engine, and what the engine tells its pages.
 *
 * The engine is everything that is not pixels: keys, ratchets, history, outbox, connections. It
 * runs in a worker of each tab; one of them, which holds the Web Lock, owns sockets and ratchets,
 * the others pass commands on to it. Pages see this file alone, so the whole interface can be built
 * and tested on an engine that is made up ("./fake").
 *
 * Everything here crosses `postMessage`: plain values, no functions, no CryptoKeys. Identities are
 * base64url (no padding) of the compressed point, 44 characters; message ids are 32 hex digits;
 * times are milliseconds since 1970.
 */

export type Identity = string;
export type MessageId = string;

// -- state that every page always has ---------------------------------------------------------

/** Broadcast whole whenever something in it changes; small on purpose. */
export interface EngineState {
  phase: Phase;
  me: Me | null;
  connection: ConnectionState;
  /** Messages not yet read, over all accepted chats that are not muted. */
  unread: number;
  /** Strangers who wait in Requests. */
  requests: number;
  /** Messages of ours that no majority of replicas has yet. */
  waiting: number;
  storage: StorageState;
  backup: BackupState;
  settings: Settings;
}

export type Phase =
  | { at: "loading" }
  /** No identity in this browser yet. */
  | { at: "new" }
  | { at: "ready" }
  /** The identity was restored elsewhere; this device has stopped and says so. */
  | { at: "replaced" }
  /** It cannot work here; `why` is a key of the catalogue under "blocked". */
  | { at: "blocked"; why: BlockedReason };

export type BlockedReason =
  | "insecure" // plain http elsewhere than localhost: no crypto.subtle
  | "no-database" // IndexedDB is not to be had (private window, policy)
  | "too-old" // a browser without what is needed
  | "newer-database" // another tab or a later version wrote a newer schema
  | "storage-full" // the browser gives no more space: nothing can be saved, so nothing is sent
  | "failed"; // the engine broke

export interface Me {
  identity: Identity;
  name: string;
  /** `tace1…`, 63 characters. */
  code: string;
  /** `https://NODE/#tace1…` with the node in use. */
  link: string;
}

export type ConnectionState =
  /** `websocket`: "Connected". `polling`: "Polling": it works, slower, and tries to get back. */
  | { at: "connected"; via: "websocket" | "polling"; node: string; sinceMs: number }
  | { at: "connecting"; node: string | null }
  | { at: "offline"; retryAtMs: number | null; why: OfflineReason };

/** `network`: the browser says there is none. `nodes`: none of the known nodes answers. */
export type OfflineReason = "network" | "nodes" | "clock" | "wrong-network";

export interface StorageState {
  /** Whether the browser promised not to clean it away. null: not asked yet. */
  persistent: boolean | null;
  usedBytes: number | null;
  quotaBytes: number | null;
}

export interface BackupState {
  /** The recovery code can be shown until the person says that it is saved; then it is forgotten. */
  codeSaved: boolean;
  lastExportMs: number | null;
}

export interface Settings {
  /** Days that messages are kept; null: for ever. */
  retentionDays: number | null;
  readReceipts: boolean;
  notifications: boolean;
  /** Minutes since midnight, local; null: no quiet hours. */
  quietFrom: number | null;
  quietTo: number | null;
  /** Send through another node than the one that collects, where two are known. */
  twoNodes: boolean;
}

// -- chats and messages -------------------------------------------------------------------------

export interface Chat {
  identity: Identity;
  /** What to call them: the alias, else their own name, else a short form of the code. */
  title: string;
  /** The name they give themselves; "" when unknown. Never trusted, only text. */
  name: string;
  /** The name this user gave them; "" when none. */
  alias: string;
  /** `tace1…` of theirs. */
  code: string;
  standing: "contact" | "request" | "blocked";
  verified: boolean;
  /** A device of theirs that was not there before, not yet looked at; null when none. */
  newDeviceSinceMs: number | null;
  /** Something came from a device that is not on their list. */
  unlistedDevice: boolean;
  /** Something of a new device waits, and is shown when their list of devices was looked at. */
  uncheckedDevice: boolean;
  muted: boolean;
  pinned: boolean;
  archived: boolean;
  /** Days; "global" follows Settings; null for ever. */
  retentionDays: number | null | "global";
  unread: number;
  /** The first message not yet read, for the "new" line. */
  firstUnread: MessageId | null;
  draft: string;
  /** null for an empty chat; of a request never any text. */
  last: ChatPreview | null;
  /** What the list is sorted by, newest first. */
  activeMs: number;
}

export interface ChatPreview {
  mine: boolean;
  kind: MessageKind;
  text: string;
  sentMs: number;
  state: MessageState;
}

export type MessageKind =
  | "text"
  | "file"
  | "deleted"
  /** Unsealed but undecryptable; a new session is being asked for. */
  | "unreadable"
  /** A kind that this version does not know. */
  | "newer";

/**
 * saved: on this device only (clock). stored: a majority of replicas has it (one tick). delivered:
 * their device said so (two ticks). read: likewise. failed: expired or refused for good (Retry).
 */
export type MessageState = "saved" | "stored" | "delivered" | "read" | "failed";

export interface Message {
  id: MessageId;
  chat: Identity;
  mine: boolean;
  /** Where it stands in its chat; grows, unique within the chat, not contiguous. */
  place: number;
  kind: MessageKind;
  text: string;
  sentMs: number;
  /** When it was put into this device's history. */
  savedMs: number;
  /** Of a received message always "delivered". */
  state: MessageState;
  edited: boolean;
  replyTo: Quote | null;
  reactions: Reaction[];
  file: FileInfo | null;
}

export interface Quote {
  id: MessageId;
  mine: boolean;
  /** gone: it is not here (any more); then `mine` says nothing. */
  kind: MessageKind | "gone";
  /** The first 200 characters; of a file its name; "" where the kind has none. */
  text: string;
}

export interface Reaction {
  emoji: string;
  /** Who reacted with it: this user, the other, or both. */
  mine: boolean;
  theirs: boolean;
}

export interface FileInfo {
  name: string;
  /** As declared; shown as an image only after re-encoding by this client. */
  type: string;
  bytes: number;
  /** remote: known, not fetched. gone: expired at the nodes. */
  state: "remote" | "moving" | "here" | "gone" | "failed";
  /** 0 to 1 while moving. */
  progress: number;
}

export interface MessagePage {
  /** In order of place. */
  messages: Message[];
  hasEarlier: boolean;
  hasLater: boolean;
}

/** What is asked of a chat: the latest, or those around something. */
export interface PageRequest {
  limit: number;
  before?: number;
  after?: number;
  around?: MessageId;
}

/** "Your node says it is stored on k of n", on tap. */
export interface DeliveryDetails {
  state: MessageState;
  copies: number;
  of: number;
  node: string | null;
  storedMs: number | null;
  deliveredMs: number | null;
  readMs: number | null;
  attempts: number;
  nextAttemptMs: number | null;
  /** A refusal's word (docs/protocol/client.md, section 7), or null. */
  refusal: string | null;
  parts: number;
  expiresMs: number | null;
}

export interface SearchRequest {
  text: string;
  chat?: Identity;
  /** Only what they wrote / what this user wrote. */
  from?: "them" | "me";
  sinceMs?: number;
  untilMs?: number;
  filesOnly?: boolean;
  limit: number;
}

export interface SearchResult {
  total: number;
  /** Newest first. */
  hits: SearchHit[];
}

export interface SearchHit {
  id: MessageId;
  chat: Identity;
  title: string;
  mine: boolean;
  sentMs: number;
  kind: MessageKind;
  /** The text around the first match. */
  text: string;
  /** [start, end) of each match in `text`. */
  marks: [number, number][];
}

// -- people ---------------------------------------------------------------------------------------

/** Shown before anybody is added. */
export interface ContactPreview {
  identity: Identity;
  code: string;
  standing: "unknown" | "me" | Chat["standing"];
  title: string;
}

export interface SafetyNumber {
  /** 60 digits in twelve groups of five. */
  groups: string[];
  /** What the QR code holds, 78 bytes. */
  qr: Uint8Array;
}

// -- nodes ----------------------------------------------------------------------------------------

export interface NodeView {
  origin: string;
  nodeId: string | null;
  /** here: served this page. added: by the user. met: learned from the network. */
  source: "here" | "added" | "met";
  /** What it is used for now. */
  inbox: boolean;
  outbox: boolean;
  health: "good" | "slow" | "failing" | "unknown";
  roundTripMs: number | null;
  lastSeenMs: number | null;
  lastFailure: string | null;
  software: string;
}

export interface RingView {
  members: number;
  /** Of the node in use. */
  state: string;
  items: number;
  bytes: number;
  /** Positions on the ring as fractions of it, 0 to 1; `node` is hex. */
  positions: { at: number; node: string; own: boolean }[];
  askedMs: number;
}

// -- export and import ----------------------------------------------------------------------------

export interface ImportReport {
  contacts: number;
  messages: number;
  /** When the file was made. */
  madeMs: number;
  identity: Identity;
}

export interface ContactCard {
  code: string;
  name: string;
  verified: boolean;
}

// -- the calls ------------------------------------------------------------------------------------

/** Answered by any tab's worker from the database. */
export interface Queries {
  chats(): Promise<Chat[]>;
  chat(identity: Identity): Promise<Chat | null>;
  messages(chat: Identity, request: PageRequest): Promise<MessagePage>;
  details(id: MessageId): Promise<DeliveryDetails>;
  search(request: SearchRequest): Promise<SearchResult>;
  /** @throws bad-link */
  previewContact(text: string): Promise<ContactPreview>;
  safetyNumber(identity: Identity): Promise<SafetyNumber>;
  /** Until `codeSaved`. @throws code-forgotten */
  recoveryCode(): Promise<string>;
  /** Whether this code makes this identity. @throws bad-recovery-code */
  checkRecoveryCode(code: string): Promise<boolean>;
  exportContacts(): Promise<ContactCard[]>;
  /** The bytes of a file that is here. @throws no-file */
  fileBytes(id: MessageId): Promise<Uint8Array>;
}

/**
 * Carried out by the tab that owns the ratchets. Each may be repeated: a tab that takes over is
 * asked again what the last one left unanswered. What answers is on the disk.
 */
export interface Commands {
  /** A new identity. @throws identity-exists */
  create(name: string): Promise<void>;
  /** @throws bad-recovery-code, identity-exists */
  restore(code: string, name: string): Promise<void>;
  codeSaved(): Promise<void>;
  setName(name: string): Promise<void>;
  setSettings(settings: Partial<Settings>): Promise<void>;
  /** Forget everything in this browser. */
  forget(): Promise<void>;

  /** @throws bad-link, own-link */
  addContact(text: string, alias: string): Promise<Identity>;
  accept(identity: Identity): Promise<void>;
  block(identity: Identity): Promise<void>;
  unblock(identity: Identity): Promise<void>;
  /** The chat with its history and contact; sessions end. */
  deleteChat(identity: Identity): Promise<void>;
  /** Only the history. */
  clearHistory(identity: Identity): Promise<void>;
  setChat(
    identity: Identity,
    change: Partial<Pick<Chat, "alias" | "muted" | "pinned" | "archived" | "retentionDays">>,
  ): Promise<void>;
  setVerified(identity: Identity, verified: boolean): Promise<void>;
  /** Compares what was scanned; verifies on a match. @throws not-a-safety-code */
  scanSafety(identity: Identity, scanned: Uint8Array): Promise<boolean>;
  newDeviceSeen(identity: Identity): Promise<void>;

  /** `id` is drawn by the page, so that asking twice sends once. @throws too-large, blocked */
  send(chat: Identity, id: MessageId, text: string, replyTo: MessageId | null): Promise<void>;
  /** One chunk at most (docs/protocol/e2ee.md, section 9). @throws too-large */
  sendFile(
    chat: Identity,
    id: MessageId,
    file: { name: string; type: string; bytes: Uint8Array },
    replyTo: MessageId | null,
  ): Promise<void>;
  edit(id: MessageId, text: string): Promise<void>;
  /** For both sides, where it is this user's; here alone otherwise. */
  deleteMessage(id: MessageId): Promise<void>;
  /** One reaction a person and message; "" takes it away. */
  react(id: MessageId, emoji: string): Promise<void>;
  /** A failed message again, at once. */
  retry(id: MessageId): Promise<void>;
  /** Everything up to there was seen. */
  markRead(chat: Identity, place: number): Promise<void>;
  setDraft(chat: Identity, text: string): Promise<void>;
  fetchFile(id: MessageId): Promise<void>;

  nodes(): Promise<NodeView[]>;
  ring(): Promise<RingView>;
  /** @throws bad-origin, no-node, wrong-network */
  addNode(origin: string): Promise<void>;
  removeNode(origin: string): Promise<void>;
  /** Collect there from now on. @throws no-node, wrong-network */
  useNode(origin: string): Promise<void>;
  /** Not waiting for the next try. */
  connectNow(): Promise<void>;

  /** A sealed file of everything but the ratchets, opened by the recovery code. */
  exportAll(): Promise<Uint8Array>;
  /** Says what is in a sealed file without taking it over. @throws bad-recovery-code, bad-export */
  inspectExport(file: Uint8Array, code: string): Promise<ImportReport>;
  /** Into a browser without an identity. @throws bad-recovery-code, bad-export, identity-exists */
  importAll(file: Uint8Array, code: string): Promise<ImportReport>;
  /** How many were new. @throws bad-contacts */
  importContacts(cards: ContactCard[]): Promise<number>;
  askPersistence(): Promise<boolean>;
}

export type Calls = Queries & Commands;

/** A call that failed; `code` is a key of the catalogue under "error". */
export class EngineError extends Error {
  constructor(
    readonly code: string,
    readonly detail = "",
  ) {
    super(detail ? `${code}: ${detail}` : code);
  }
}

// -- events ---------------------------------------------------------------------------------------

export type EngineEvent =
  | { event: "state"; state: EngineState }
  /** These chats changed in the list (or went, when `chat()` gives null). */
  | { event: "chats"; identities: Identity[] }
  /** These messages of a chat are new or different (or went, when a page no longer has them). */
  | { event: "messages"; chat: Identity; ids: MessageId[] }
  /** Something arrived that a person may be told of; the page decides (focus, mute, quiet hours). */
  | { event: "arrived"; chat: Identity; request: boolean; ids: MessageId[] }
  /** The node in use changed without the user's doing. */
  | { event: "failover"; from: string; to: string };

/** What pages hold: "./remote" to the worker, "./fake" in tests and when the interface is built. */
export interface Engine extends Calls {
  readonly state: EngineState;
  subscribe(listener: (event: EngineEvent) => void): () => void;
}
