import type { EngineState, Settings } from "./contract";

export const DEFAULT_SETTINGS: Settings = {
  retentionDays: null,
  readReceipts: false,
  notifications: false,
  quietFrom: null,
  quietTo: null,
  twoNodes: true,
};

/** Before anything is known. */
export const INITIAL_STATE: EngineState = {
  phase: { at: "loading" },
  me: null,
  connection: { at: "connecting", node: null },
  unread: 0,
  requests: 0,
  waiting: 0,
  storage: { persistent: null, usedBytes: null, quotaBytes: null },
  backup: { codeSaved: false, lastExportMs: null },
  settings: DEFAULT_SETTINGS,
};
