/** Carries client messages over a WebSocket, one binary message each. */

import { SUBPROTOCOL } from "../wire/client";
import { LinkLost, ProtocolError, type TaceError } from "../wire/errors";
import type { NodeAddress } from "./address";
import type { OpenTransport, Transport, TransportListener } from "./transport";

/** What may wait to be sent before the node counts as one that does not read. */
const MAX_BUFFERED_BYTES = 8 * 1024 * 1024;
const NORMAL_CLOSURE = 1000;

/** The browser's WebSocket, or one of a test. */
export interface Socket {
  binaryType: BinaryType;
  readonly protocol: string;
  readonly bufferedAmount: number;
  onopen: ((event: Event) => void) | null;
  onmessage: ((event: MessageEvent) => void) | null;
  onclose: ((event: CloseEvent) => void) | null;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
}

export type MakeSocket = (url: string, subprotocol: string) => Socket;

/** Opens transports with this constructor of sockets (`(url, name) => new WebSocket(url, name)`). */
export function webSocketTransport(makeSocket: MakeSocket): OpenTransport {
  return (address, listener) => new WebSocketTransport(makeSocket, address, listener);
}

class WebSocketTransport implements Transport {
  readonly carrier = "websocket";
  readonly #listener: TransportListener;
  #socket: Socket | null = null;
  #open = false;

  constructor(makeSocket: MakeSocket, address: NodeAddress, listener: TransportListener) {
    this.#listener = listener;
    let socket: Socket;
    try {
      socket = makeSocket(address.socketUrl, SUBPROTOCOL);
    } catch (error) {
      // Blocked by a policy of the page or of the browser; there is no event for that.
      const reason = new LinkLost(`${address}: ${error instanceof Error ? error.message : error}`);
      queueMicrotask(() => listener.onClose(reason));
      return;
    }
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#open = true;
      if (socket.protocol !== SUBPROTOCOL) {
        this.#end(new ProtocolError(`${address} does not speak ${SUBPROTOCOL}`));
      }
    };
    socket.onmessage = (event) => {
      if (event.data instanceof ArrayBuffer) listener.onMessage(new Uint8Array(event.data));
      else this.#end(new ProtocolError("the node sent text"));
    };
    // Browsers do not say why a socket failed, so that pages cannot probe what they may not see.
    socket.onclose = () => {
      this.#end(new LinkLost(this.#open ? "the connection broke" : `${address}: no connection`));
    };
  }

  send(data: Uint8Array): void {
    if (!this.#socket || !this.#open) return;
    if (this.#socket.bufferedAmount > MAX_BUFFERED_BYTES) {
      this.#end(new LinkLost("the node does not read"));
      return;
    }
    this.#socket.send(new Uint8Array(data));
  }

  close(): void {
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    socket.close(NORMAL_CLOSURE);
  }

  #end(reason: TaceError): void {
    if (!this.#socket) return;
    this.close();
    this.#listener.onClose(reason);
  }
}
