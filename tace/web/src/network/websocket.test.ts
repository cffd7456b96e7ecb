import { beforeEach, describe, expect, it } from "vitest";
import { SUBPROTOCOL } from "../wire/client";
import { LinkLost, ProtocolError, type TaceError } from "../wire/errors";
import { NodeAddress } from "./address";
import { settle } from "./testing/clock";
import type { Transport } from "./transport";
import { type Socket, webSocketTransport } from "./websocket";

class FakeSocket implements Socket {
  binaryType: BinaryType = "blob";
  protocol = SUBPROTOCOL;
  bufferedAmount = 0;
  onopen: Socket["onopen"] = null;
  onmessage: Socket["onmessage"] = null;
  onclose: Socket["onclose"] = null;
  readonly sent: Uint8Array[] = [];
  closedWith: number | undefined;

  constructor(
    readonly url: string,
    readonly subprotocol: string,
  ) {}

  send(data: Uint8Array<ArrayBuffer>): void {
    this.sent.push(data);
  }

  close(code?: number): void {
    this.closedWith = code;
  }
}

const address = NodeAddress.parse("https://node.example");
let socket: FakeSocket;
let transport: Transport;
let messages: Uint8Array[];
let reasons: TaceError[];

const listener = {
  onMessage: (data: Uint8Array) => messages.push(data),
  onClose: (reason: TaceError) => reasons.push(reason),
};

beforeEach(() => {
  messages = [];
  reasons = [];
  const open = webSocketTransport((url, subprotocol) => {
    socket = new FakeSocket(url, subprotocol);
    return socket;
  });
  transport = open(address, listener);
});

describe("a WebSocket", () => {
  it("asks for the protocol, and moves bytes", () => {
    expect([socket.url, socket.subprotocol]).toEqual(["wss://node.example/v1/socket", SUBPROTOCOL]);
    expect(socket.binaryType).toBe("arraybuffer");
    transport.send(Uint8Array.of(1));
    socket.onopen?.(new Event("open"));
    transport.send(Uint8Array.of(2));
    expect(socket.sent).toEqual([Uint8Array.of(2)]);
    socket.onmessage?.(new MessageEvent("message", { data: Uint8Array.of(3).buffer }));
    expect(messages).toEqual([Uint8Array.of(3)]);
  });

  it("is no node's without the subprotocol", () => {
    socket.protocol = "";
    socket.onopen?.(new Event("open"));
    expect(reasons).toEqual([expect.any(ProtocolError)]);
    expect(socket.closedWith).toBe(1000);
  });

  it("carries no text", () => {
    socket.onopen?.(new Event("open"));
    socket.onmessage?.(new MessageEvent("message", { data: "text" }));
    expect(reasons).toEqual([expect.any(ProtocolError)]);
  });

  it("says once that it broke", () => {
    const { onclose } = socket;
    onclose?.({} as CloseEvent);
    onclose?.({} as CloseEvent);
    expect(reasons).toEqual([new LinkLost("https://node.example: no connection")]);
  });

  it("says nothing when it was closed here", () => {
    const { onclose } = socket;
    transport.close();
    transport.close();
    onclose?.({} as CloseEvent);
    transport.send(Uint8Array.of(1));
    expect([reasons, socket.sent]).toEqual([[], []]);
  });

  it("is given up when the node does not read", () => {
    socket.onopen?.(new Event("open"));
    socket.bufferedAmount = 8 * 1024 * 1024 + 1;
    transport.send(Uint8Array.of(1));
    expect(reasons).toEqual([new LinkLost("the node does not read")]);
  });

  it("that may not even be made fails like another, later", async () => {
    const open = webSocketTransport(() => {
      throw new DOMException("blocked", "SecurityError");
    });
    open(address, listener).send(Uint8Array.of(1));
    expect(reasons).toEqual([]);
    await settle();
    expect(reasons).toEqual([new LinkLost("https://node.example: blocked")]);
  });
});
