import {
  CLIENT_MESSAGES,
  ClientPing,
  ClientPong,
  ClientRefused,
  encodeClientMessage,
  splitClientMessage,
} from "../../wire/client";
import { joinFrames, splitFrames } from "../../wire/frames";
import { valuesOf } from "../../wire/message";
import type { Clock } from "../clock";

interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

interface WaitingPoll {
  readonly number: number;
  readonly answer: (response: Response) => void;
}

const TOKEN = "A".repeat(43);

/** The HTTP side of a node with one session: docs/protocol/client.md, in a few lines. */
export class FakeHttpNode {
  readonly requests: HttpRequest[] = [];
  /** Messages that wait for a poll. */
  readonly waiting: Uint8Array[] = [];
  /** What the next requests meet instead of an answer, in order. */
  readonly mishaps: ("no answer" | "answer lost" | number)[] = [];
  ended = false;
  /** Whether exchanges are held back until `release`. */
  holding = false;
  readonly #held: (() => void)[] = [];
  #polled = 0;
  #kept: Uint8Array<ArrayBuffer> = new Uint8Array();
  #poll: WaitingPoll | null = null;

  constructor(
    private readonly clock: Clock,
    private readonly challenge: Uint8Array,
  ) {}

  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    const request = {
      method: init.method ?? "GET",
      path: new URL(url).pathname,
      headers: new Headers(init.headers),
      body: init.body instanceof Uint8Array ? init.body : new Uint8Array(),
    };
    this.requests.push(request);
    const mishap = this.mishaps.shift();
    if (mishap === "no answer") throw new TypeError("fetch failed");
    if (typeof mishap === "number") return new Response("<html>", { status: mishap });
    const answer = await new Promise<Response>((resolve, reject) => {
      init.signal?.addEventListener("abort", () => reject(init.signal?.reason), { once: true });
      this.#serve(request).then(resolve, reject);
    });
    if (mishap === "answer lost") throw new TypeError("fetch failed");
    return answer;
  };

  /** The paths that were asked for. */
  get paths(): string[] {
    return this.requests.map((request) => `${request.method} ${request.path}`);
  }

  push(message: Uint8Array): void {
    this.waiting.push(message);
    const poll = this.#poll;
    this.#poll = null;
    poll?.answer(this.#handOut());
  }

  release(): void {
    this.holding = false;
    for (const go of this.#held.splice(0)) go();
  }

  async #serve(request: HttpRequest): Promise<Response> {
    if (request.path === "/v1/session" && request.method === "POST") {
      return reply([this.challenge], 200, { "Tace-Session": TOKEN });
    }
    if (this.ended || request.headers.get("tace-session") !== TOKEN) {
      return reply([encodeClientMessage(ClientRefused, { code: "unauthorized" }, 0)], 401);
    }
    if (request.method === "DELETE") {
      this.ended = true;
      return new Response(null, { status: 204 });
    }
    if (request.path === "/v1/exchange") return this.#exchange(request);
    return this.#answerPoll(Number(request.headers.get("tace-poll")));
  }

  async #exchange(request: HttpRequest): Promise<Response> {
    if (this.holding) await new Promise<void>((resolve) => this.#held.push(resolve));
    const answers = splitFrames(request.body).flatMap((frame) => {
      const { number, requestId, body } = splitClientMessage(frame);
      const asked = CLIENT_MESSAGES.decode(number, body);
      const clockMs = this.clock.now();
      return valuesOf(asked, ClientPing)
        ? [encodeClientMessage(ClientPong, { clockMs }, requestId)]
        : [];
    });
    return reply(answers);
  }

  #answerPoll(number: number): Promise<Response> {
    if (number === this.#polled) return Promise.resolve(body(this.#kept));
    if (this.waiting.length > 0) return Promise.resolve(this.#handOut());
    return new Promise((answer) => {
      this.#poll = { number, answer };
      this.clock.after(25_000, () => {
        if (this.#poll?.number !== number) return;
        this.#poll = null;
        answer(this.#handOut());
      });
    });
  }

  #handOut(): Response {
    this.#polled += 1;
    this.#kept = joinFrames(this.waiting.splice(0));
    return body(this.#kept);
  }
}

function reply(messages: Uint8Array[], status = 200, headers: Record<string, string> = {}) {
  return new Response(joinFrames(messages), { status, headers });
}

function body(bytes: Uint8Array<ArrayBuffer>): Response {
  return new Response(new Uint8Array(bytes));
}
