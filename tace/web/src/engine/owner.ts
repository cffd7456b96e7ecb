/** The engine in the tab that owns it: every command, and the state that all tabs are told. */

import type { RecoveryCode } from "../e2ee/recovery";
import { type Database, NotOwner } from "../store/database";
import { meta, removeMeta, setMeta } from "../store/meta";
import { Introduction } from "../store/rows";
import { type CommandName, isStorageFull, NOT_OWNER, type Note } from "./calls";
import type {
  BackupState,
  Chat,
  Commands,
  ContactCard,
  EngineEvent,
  EngineState,
  Identity,
  ImportReport,
  MessageId,
  NodeView,
  RingView,
  Settings,
} from "./contract";
import { EngineError } from "./contract";
import type { Environment } from "./environment";
import { DEFAULT_SETTINGS, INITIAL_STATE } from "./initial-state";
import type { Own } from "./own";
import type { Running } from "./running";
import { Status } from "./status";
import type { OwnedEngine } from "./tab";

export class Owner implements OwnedEngine, Commands {
  private readonly status: Status;
  private running: Running | null = null;
  private own: Own | null = null;
  private isClosed = false;
  /** As the browser last said; kept for what starts to run later. */
  private isOnline = true;

  private constructor(
    private readonly environment: Environment,
    private readonly database: Database,
    private readonly tell: (event: EngineEvent) => void,
  ) {
    this.status = new Status(database, environment.clock, tell);
  }

  /** The database is owned already. */
  static async start(
    environment: Environment,
    database: Database,
    tell: (event: EngineEvent) => void,
  ): Promise<Owner> {
    const owner = new Owner(environment, database, tell);
    await owner.load();
    return owner;
  }

  get state(): EngineState {
    return this.status.state;
  }

  async command(name: CommandName, args: unknown[]): Promise<unknown> {
    const call = this[name] as (...args: unknown[]) => Promise<unknown>;
    try {
      return await call.apply(this, args);
    } catch (error) {
      if (error instanceof NotOwner) throw new EngineError(NOT_OWNER);
      throw error;
    }
  }

  note(note: Note): void {
    switch (note.note) {
      case "online":
        this.isOnline = note.online;
        this.running?.online(note.online);
        return;
      case "persistent": {
        const { storage } = this.state;
        this.status.become({ storage: { ...storage, persistent: note.persistent } });
      }
    }
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.status.stop();
    await this.running?.stop();
    this.running = null;
  }

  // -- the identity -------------------------------------------------------------------------------

  async create(name: string): Promise<void> {
    const { makeRecoveryCode } = await identityParts();
    await this.begin(makeRecoveryCode(this.environment.random), name, false);
  }

  async restore(text: string, name: string): Promise<void> {
    const { parsedCode } = await identityParts();
    await this.begin(await parsedCode(text), name, true);
  }

  async codeSaved(): Promise<void> {
    await this.database.change(async (change) => {
      removeMeta(change, "recoveryCode");
      const backup = (await meta(change, "backup")) ?? INITIAL_STATE.backup;
      setMeta(change, "backup", { ...backup, codeSaved: true });
    });
    await this.readBackup();
  }

  async setName(name: string): Promise<void> {
    const { own } = this;
    if (!own) throw new EngineError("no-identity");
    const { MAX_NAME } = await identityParts();
    const called = [...name.trim()].slice(0, MAX_NAME).join("");
    await this.database.change(async (change) => {
      setMeta(change, "name", called);
      // It rides on what is said next, until each device has confirmed it.
      for (const device of await change.all("device")) {
        if (device.introduction === Introduction.NOT_SENT) continue;
        change.put("device", { ...device, introduction: Introduction.NOT_SENT });
      }
    });
    own.name = called;
    await this.readMe();
  }

  async setSettings(wanted: Partial<Settings>): Promise<void> {
    const settings = await this.database.change(async (change) => {
      const known = (await meta(change, "settings")) ?? DEFAULT_SETTINGS;
      const next = { ...known, ...wanted };
      setMeta(change, "settings", next);
      return next;
    });
    this.status.become({ settings });
    this.running?.setTwoNodes(settings.twoNodes);
    if (wanted.retentionDays !== undefined) await this.running?.retain();
  }

  async forget(): Promise<void> {
    await this.running?.stop();
    this.running = null;
    this.own = null;
    await this.database.clear();
    const { storage } = this.state;
    this.status.become({ ...INITIAL_STATE, phase: { at: "new" }, storage });
  }

  // -- people -------------------------------------------------------------------------------------

  addContact(text: string, alias: string): Promise<Identity> {
    return this.there.people.addContact(text, alias);
  }

  accept(identity: Identity): Promise<void> {
    return this.there.people.accept(identity);
  }

  block(identity: Identity): Promise<void> {
    return this.there.people.block(identity);
  }

  unblock(identity: Identity): Promise<void> {
    return this.there.people.unblock(identity);
  }

  deleteChat(identity: Identity): Promise<void> {
    return this.there.people.deleteChat(identity);
  }

  clearHistory(identity: Identity): Promise<void> {
    return this.there.people.clearHistory(identity);
  }

  async setChat(
    identity: Identity,
    change: Partial<Pick<Chat, "alias" | "muted" | "pinned" | "archived" | "retentionDays">>,
  ): Promise<void> {
    await this.there.people.setChat(identity, change);
    if (change.retentionDays !== undefined) await this.there.retain();
  }

  setVerified(identity: Identity, verified: boolean): Promise<void> {
    return this.there.people.setVerified(identity, verified);
  }

  scanSafety(identity: Identity, scanned: Uint8Array): Promise<boolean> {
    return this.there.people.scanSafety(identity, scanned);
  }

  newDeviceSeen(identity: Identity): Promise<void> {
    return this.there.people.newDeviceSeen(identity);
  }

  setDraft(chat: Identity, text: string): Promise<void> {
    return this.there.people.setDraft(chat, text);
  }

  importContacts(cards: ContactCard[]): Promise<number> {
    return this.there.people.importContacts(cards);
  }

  // -- messages -----------------------------------------------------------------------------------

  send(chat: Identity, id: MessageId, text: string, replyTo: MessageId | null): Promise<void> {
    return this.there.talk.send(chat, id, text, replyTo);
  }

  sendFile(
    chat: Identity,
    id: MessageId,
    file: { name: string; type: string; bytes: Uint8Array },
    replyTo: MessageId | null,
  ): Promise<void> {
    return this.there.talk.sendFile(chat, id, file, replyTo);
  }

  edit(id: MessageId, text: string): Promise<void> {
    return this.there.talk.edit(id, text);
  }

  deleteMessage(id: MessageId): Promise<void> {
    return this.there.talk.deleteMessage(id);
  }

  react(id: MessageId, emoji: string): Promise<void> {
    return this.there.talk.react(id, emoji);
  }

  retry(id: MessageId): Promise<void> {
    return this.there.talk.retry(id);
  }

  markRead(chat: Identity, place: number): Promise<void> {
    return this.there.talk.markRead(chat, place);
  }

  fetchFile(id: MessageId): Promise<void> {
    return this.there.fetchFile(id);
  }

  // -- nodes --------------------------------------------------------------------------------------

  async nodes(): Promise<NodeView[]> {
    return this.there.nodeViews();
  }

  ring(): Promise<RingView> {
    return this.there.ring();
  }

  addNode(origin: string): Promise<void> {
    return this.there.addNode(origin);
  }

  removeNode(origin: string): Promise<void> {
    return this.there.removeNode(origin);
  }

  useNode(origin: string): Promise<void> {
    return this.there.useNode(origin);
  }

  connectNow(): Promise<void> {
    return this.there.connectNow();
  }

  // -- export and import --------------------------------------------------------------------------

  async exportAll(): Promise<Uint8Array> {
    const { exportAll } = await identityParts();
    const { clock, random } = this.environment;
    const nowMs = clock.now();
    const file = await exportAll(this.database, nowMs, random);
    await this.database.change(async (change) => {
      const backup = (await meta(change, "backup")) ?? INITIAL_STATE.backup;
      setMeta(change, "backup", { ...backup, lastExportMs: nowMs });
    });
    await this.readBackup();
    return file;
  }

  async inspectExport(file: Uint8Array, code: string): Promise<ImportReport> {
    const { inspectExport, parsedCode } = await identityParts();
    return await inspectExport(file, await parsedCode(code));
  }

  async importAll(file: Uint8Array, text: string): Promise<ImportReport> {
    const { importAll, parsedCode } = await identityParts();
    const code = await parsedCode(text);
    const { report, contacts } = await this.database.change(async (change) => {
      if (await meta(change, "ownKeys")) throw new EngineError("identity-exists");
      return await importAll(change, file, code);
    });
    const identities = contacts.map((person) => person.identity);
    await this.load();
    this.tell({ event: "chats", identities });
    await this.running?.greet(identities);
    return report;
  }

  /** A page asks the browser itself: workers may not. What it answered comes as a note. */
  async askPersistence(): Promise<boolean> {
    return this.state.storage.persistent ?? false;
  }

  // -- inside -------------------------------------------------------------------------------------

  /** @throws EngineError no-identity, replaced */
  private get there(): Running {
    if (this.running) return this.running;
    throw new EngineError(this.state.phase.at === "replaced" ? "replaced" : "no-identity");
  }

  private async begin(code: RecoveryCode, name: string, codeSaved: boolean): Promise<void> {
    const { establish } = await identityParts();
    await this.database.change(async (change) => {
      // Whoever is asked twice to make one has made it.
      if (await meta(change, "ownKeys")) throw new EngineError("identity-exists");
      await establish(change, { code, name: name.trim(), codeSaved });
    });
    await this.load();
  }

  private async load(): Promise<void> {
    const { reader } = this.database;
    await this.readStorage();
    if (!(await meta(reader, "ownKeys"))) {
      this.status.become({ phase: { at: "new" } });
      return;
    }
    const { Own, Running } = await identityParts();
    this.own = await Own.load(reader);
    if (!this.own) throw new EngineError("no-identity");
    const settings = (await meta(reader, "settings")) ?? DEFAULT_SETTINGS;
    this.status.become({ settings });
    await this.readBackup();
    await this.readMe();
    await this.status.count();
    if (await meta(reader, "replaced")) {
      this.status.become({ phase: { at: "replaced" } });
      return;
    }
    this.running = await Running.start({
      environment: this.environment,
      database: this.database,
      own: this.own,
      status: this.status,
      tell: (event) => this.tell(event),
      connected: (origin) => {
        const { me } = this.state;
        if (me) this.status.become({ me: { ...me, link: linkAt(origin, me.code) } });
      },
      replaced: () => void this.replaced(),
      broke: (error) => void this.broke(error),
    });
    if (!this.isOnline) this.running.online(false);
    this.status.become({ phase: { at: "ready" } });
  }

  private async readMe(): Promise<void> {
    const { own } = this;
    if (!own) return;
    const { contactCode } = await identityParts();
    const code = await contactCode(own.point);
    const { connection } = this.state;
    const inUse = connection.at === "connected" ? connection.node : this.environment.here;
    const link = linkAt(inUse, code);
    this.status.become({ me: { identity: own.text, name: own.name, code, link } });
  }

  private async readBackup(): Promise<void> {
    const backup: BackupState =
      (await meta(this.database.reader, "backup")) ?? INITIAL_STATE.backup;
    this.status.become({ backup });
  }

  private async readStorage(): Promise<void> {
    const { storage } = this.environment;
    if (!storage) return;
    const { usage, quota } = await storage.estimate();
    const persistent = await storage.persisted();
    // Not asked yet is not the same as refused: only "yes" is certain.
    this.status.become({
      storage: {
        persistent: persistent ? true : this.state.storage.persistent,
        usedBytes: usage ?? null,
        quotaBytes: quota ?? null,
      },
    });
  }

  private async replaced(): Promise<void> {
    this.status.become({ phase: { at: "replaced" } });
    await this.running?.stop();
    this.running = null;
    if (this.isClosed) return;
    await this.database.change(async (change) => setMeta(change, "replaced", true));
  }

  private async broke(error: unknown): Promise<void> {
    await this.running?.stop();
    this.running = null;
    // Another tab took over: that one tells how things are.
    if (this.isClosed || error instanceof NotOwner) return;
    const why = isStorageFull(error) ? "storage-full" : "failed";
    this.status.become({ phase: { at: "blocked", why } });
  }
}

/** Opens the page of that node, and adds whoever has that code. */
function linkAt(origin: string, code: string): string {
  return `${origin}/#${code}`;
}

/** Loaded when there is an identity, or one is to be made. */
function identityParts(): Promise<typeof import("./identity")> {
  return import("./identity");
}
