/** How a browser reaches nodes: by WebSocket, or by long polling where none comes through. */

import { points } from "../e2ee/crypto";
import { systemClock } from "../network/clock";
import { Dialler } from "../network/dialling";
import { pollingTransport } from "../network/polling";
import { webSocketTransport } from "../network/websocket";
import type { Connecting } from "./environment";

export function browserConnecting(chance: () => number): Connecting {
  const socket = webSocketTransport((url, subprotocol) => new WebSocket(url, subprotocol));
  const polling = pollingTransport((url, init) => fetch(url, init), systemClock);
  return { points, dialler: new Dialler(socket, polling, systemClock, chance) };
}
