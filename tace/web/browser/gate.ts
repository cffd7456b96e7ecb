/**
 * A forward proxy that a browser context sends everything through: it says whom the page reached,
 * and it can shut, which is what a cut line looks like to every tab and worker at once.
 */

import { once } from "node:events";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import type { Duplex } from "node:stream";
import type { BrowserContextOptions } from "playwright-core";

/** One answer that came through to the browser. */
export interface Passage {
  url: string;
  /** What the browser wants it for: "script", "worker", "serviceworker", "empty" for a fetch. */
  destination: string;
  /** Of the body as it travelled. */
  bytes: number;
}

/** open: all of it. tunnels-blocked: no WebSocket, as behind many a company's proxy. shut: nothing. */
export type GateState = "open" | "tunnels-blocked" | "shut";

export class Gate {
  /** Every "host:port" that was asked for. */
  readonly asked = new Set<string>();
  /** Plain requests, as each is over. */
  readonly passed: Passage[] = [];
  private state: GateState = "open";
  private readonly server = createServer((incoming, answer) => this.forward(incoming, answer));
  private readonly inUse = new Set<Duplex>();

  private constructor() {
    this.server.on("connection", (socket) => this.track(socket));
    this.server.on("connect", (incoming, socket, head) => this.tunnel(incoming, socket, head));
  }

  static async open(): Promise<Gate> {
    const gate = new Gate();
    gate.server.listen(0, "127.0.0.1");
    await once(gate.server, "listening");
    return gate;
  }

  /** For `newContext`: loopback too, which browsers keep from proxies otherwise. */
  get options(): BrowserContextOptions {
    const { port } = this.server.address() as AddressInfo;
    return { proxy: { server: `http://127.0.0.1:${port}`, bypass: "<-loopback>" } };
  }

  /** Connections of the state before end at once. */
  set(state: GateState): void {
    this.state = state;
    for (const socket of this.inUse) {
      socket.destroy();
    }
  }

  async close(): Promise<void> {
    this.set("shut");
    this.server.close();
    await once(this.server, "close");
  }

  private forward(incoming: IncomingMessage, answer: ServerResponse): void {
    const url = new URL(incoming.url ?? "");
    this.asked.add(url.host);
    if (this.state === "shut") {
      incoming.destroy();
      return;
    }
    const onward = request(url, { method: incoming.method, headers: incoming.headers });
    onward.on("response", (response) => {
      const destination = String(incoming.headers["sec-fetch-dest"] ?? "");
      const passage: Passage = { url: url.href, destination, bytes: 0 };
      response.on("data", (data: Buffer) => {
        passage.bytes += data.length;
      });
      response.on("end", () => this.passed.push(passage));
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    answer.on("close", () => onward.destroy());
    incoming.pipe(onward);
  }

  private tunnel(incoming: IncomingMessage, socket: Duplex, head: Buffer): void {
    const target = incoming.url ?? "";
    this.asked.add(target);
    socket.on("error", () => socket.destroy());
    if (this.state !== "open") {
      socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
      return;
    }
    const { hostname, port } = new URL(`http://${target}`);
    const onward = connect(Number(port || 80), hostname, () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      onward.write(head);
      onward.pipe(socket).pipe(onward);
    });
    this.track(onward);
    onward.on("error", () => socket.destroy());
    onward.on("close", () => socket.destroy());
    socket.on("close", () => onward.destroy());
  }

  private track(socket: Duplex): void {
    this.inUse.add(socket);
    socket.on("close", () => this.inUse.delete(socket));
  }
}
