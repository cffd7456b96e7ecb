/** What the engine needs of the world around it; tests give it another one. */

import type { RandomBytes } from "../e2ee/crypto";
import type { NodeAddress } from "../network/address";
import type { Clock } from "../network/clock";
import type { Connection } from "../network/connection";
import type { Dial } from "../network/dialling";
import type { Points } from "../wire/digest";

export interface Environment {
  clock: Clock;
  /** The platform's: keys and ids come from it. */
  random: RandomBytes;
  /** Uniform in [0, 1): jitter and the order of nodes. */
  chance: () => number;
  /** How nodes are reached: loaded when there is an identity, not before. */
  connecting: () => Promise<Connecting>;
  /** The origin that the page came from. */
  here: string;
  storage: StorageFacts | null;
}

export interface Connecting {
  points: Points;
  dialler: Dialling;
}

/** How connections are opened: see `Dialler` in "../network/dialling". */
export interface Dialling {
  dial: Dial;
  webSocketAgain(address: NodeAddress, signal: AbortSignal): Promise<Connection>;
  forgetBlocked(): void;
}

/** The part of the browser's StorageManager that workers have. */
export interface StorageFacts {
  persisted(): Promise<boolean>;
  estimate(): Promise<{ usage?: number; quota?: number }>;
}
