/** What moves whole client messages between here and a node, whatever it is. */

import type { TaceError } from "../wire/errors";
import type { NodeAddress } from "./address";

export type Carrier = "websocket" | "polling";

/** Who is told. */
export interface TransportListener {
  /** One message from the node, as it came; the bytes may be a window into more. */
  onMessage(data: Uint8Array): void;
  /** The transport is gone; nothing more can be sent or will come. Called once, never by `close`. */
  onClose(reason: TaceError): void;
}

export interface Transport {
  readonly carrier: Carrier;
  /** Hands over one message; silently dropped once the transport is closed. */
  send(data: Uint8Array): void;
  /** Ends it in good order. The listener hears nothing any more. */
  close(): void;
}

/** Begins to connect. Failures are told to the listener, never thrown and never at once. */
export type OpenTransport = (address: NodeAddress, listener: TransportListener) => Transport;
