/** The names of the engine's calls, and how calls and answers cross from one place to another. */

import { type Calls, type Commands, EngineError, type EngineEvent, type Queries } from "./contract";

/** A table of every name: leaving one out, or inventing one, does not compile. */
const QUERIES: Record<keyof Queries, true> = {
  chats: true,
  chat: true,
  messages: true,
  details: true,
  search: true,
  previewContact: true,
  safetyNumber: true,
  recoveryCode: true,
  checkRecoveryCode: true,
  exportContacts: true,
  fileBytes: true,
};

const COMMANDS: Record<keyof Commands, true> = {
  create: true,
  restore: true,
  codeSaved: true,
  setName: true,
  setSettings: true,
  forget: true,
  addContact: true,
  accept: true,
  block: true,
  unblock: true,
  deleteChat: true,
  clearHistory: true,
  setChat: true,
  setVerified: true,
  scanSafety: true,
  newDeviceSeen: true,
  send: true,
  sendFile: true,
  edit: true,
  deleteMessage: true,
  react: true,
  retry: true,
  markRead: true,
  setDraft: true,
  fetchFile: true,
  nodes: true,
  ring: true,
  addNode: true,
  removeNode: true,
  useNode: true,
  connectNow: true,
  exportAll: true,
  inspectExport: true,
  importAll: true,
  importContacts: true,
  askPersistence: true,
};

export type CallName = keyof Calls;
export type CommandName = keyof Commands;
export type QueryName = keyof Queries;

export const CALL_NAMES = [...Object.keys(QUERIES), ...Object.keys(COMMANDS)] as CallName[];

export function isCommand(name: CallName): name is CommandName {
  return Object.hasOwn(COMMANDS, name);
}

export function isQuery(name: CallName): name is QueryName {
  return Object.hasOwn(QUERIES, name);
}

/** The code of a command that a former owner cannot carry out: the next one is asked again. */
export const NOT_OWNER = "not-owner";

/** How a call ended: plain values, because errors lose their class on the way. */
export type Outcome = { ok: true; value: unknown } | { ok: false; code: string; detail: string };

/** What a page tells its worker beside calls. */
export type Note =
  | { note: "online"; online: boolean }
  /** What the browser said of its storage; only a page may ask for it to be persistent. */
  | { note: "persistent"; persistent: boolean };

/** From a page to its worker. */
export type ToWorker =
  | { to: "call"; id: number; name: CallName; args: unknown[] }
  | { to: "note"; note: Note };

/** From a worker to its page. */
export type ToPage =
  | { to: "answer"; id: number; outcome: Outcome }
  | { to: "event"; event: EngineEvent };

/** Between the workers of all tabs. Every message goes to all; `tab` says whose it is. */
export type Between =
  /** A tab is new and wants to know who owns the engine. */
  | { say: "who" }
  /** This tab owns the engine; commands go to it. */
  | { say: "owner"; ownership: number }
  | { say: "command"; tab: string; id: string; name: CommandName; args: unknown[] }
  | { say: "outcome"; tab: string; id: string; outcome: Outcome }
  | { say: "event"; event: EngineEvent }
  | { say: "note"; note: Note };

/** Runs a call; what it throws becomes an outcome. */
export async function outcomeOf(call: () => Promise<unknown>): Promise<Outcome> {
  try {
    return { ok: true, value: await call() };
  } catch (error) {
    if (error instanceof EngineError) return { ok: false, code: error.code, detail: error.detail };
    if (isStorageFull(error)) return { ok: false, code: "storage-full", detail: "" };
    const detail = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return { ok: false, code: "internal", detail };
  }
}

/** The browser gives this page no more space. */
export function isStorageFull(error: unknown): boolean {
  return error instanceof DOMException && error.name === "QuotaExceededError";
}

/** @throws EngineError where the call failed. */
export function resultOf(outcome: Outcome): unknown {
  if (outcome.ok) return outcome.value;
  throw new EngineError(outcome.code, outcome.detail);
}
