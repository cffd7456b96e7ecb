/** The four HTTP requests that make a session of long polling (docs/protocol/client.md). */

import { type Bytes, concat } from "../wire/bytes";
import { LinkLost, ProtocolError } from "../wire/errors";
import { splitFrames } from "../wire/frames";
import type { NodeAddress } from "./address";

const SESSION_PATH = "/v1/session";
const EXCHANGE_PATH = "/v1/exchange";
const POLL_PATH = "/v1/poll";
const SESSION_HEADER = "Tace-Session";
const POLL_HEADER = "Tace-Poll";
const TOKEN = /^[A-Za-z0-9_-]{43}$/;
/** A node's batch is 256 KiB and one message at most; more is not waited for. */
export const MAX_ANSWER_BYTES = 512 * 1024;

export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Client messages that a node answered with, and whether that was the end of the session. */
export interface HttpAnswer {
  readonly messages: readonly Uint8Array[];
  /** The status, when it is not 200: the session is over, or the request was refused. */
  readonly refused: number | null;
}

/**
 * Every call rejects with LinkLost (no answer, or not a node's) or ProtocolError (an answer that
 * breaks the protocol), or with the signal's reason.
 */
export class HttpSession {
  #token = "";

  constructor(
    private readonly fetch: Fetch,
    readonly address: NodeAddress,
  ) {}

  /** Begins a session; its first message is the challenge. */
  async open(signal: AbortSignal): Promise<HttpAnswer> {
    const response = await this.#ask(SESSION_PATH, { method: "POST", signal });
    const answer = await this.#answerOf(response);
    if (answer.refused === null) {
      const token = response.headers.get(SESSION_HEADER) ?? "";
      if (!TOKEN.test(token)) throw new ProtocolError("the node named no session");
      this.#token = token;
    }
    return answer;
  }

  /** Sends frames; resolves with the answers that came in time. */
  async exchange(body: Bytes, signal: AbortSignal): Promise<HttpAnswer> {
    const headers = { "Content-Type": "application/octet-stream" };
    const init = { method: "POST", body, signal };
    return this.#answerOf(await this.#ask(EXCHANGE_PATH, init, headers));
  }

  /** Waits for batch `number`, counted from 1. Asking again gives the same batch again. */
  async poll(number: number, signal: AbortSignal): Promise<HttpAnswer> {
    const headers = { [POLL_HEADER]: String(number) };
    return this.#answerOf(await this.#ask(POLL_PATH, { method: "GET", signal }, headers));
  }

  /** Ends it. Whether that arrives does not matter: a session nobody asks for ends by itself. */
  end(): void {
    if (!this.#token) return;
    this.#ask(SESSION_PATH, { method: "DELETE", keepalive: true }).then(
      () => {},
      () => {},
    );
    this.#token = "";
  }

  async #ask(
    path: string,
    init: RequestInit,
    more: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    const headers = this.#token ? { ...more, [SESSION_HEADER]: this.#token } : more;
    try {
      return await this.fetch(this.address.urlOf(path), {
        ...init,
        headers,
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
        referrerPolicy: "no-referrer",
      });
    } catch (error) {
      throw lost(this.address, init.signal, error);
    }
  }

  async #answerOf(response: Response): Promise<HttpAnswer> {
    const refused = response.status === 200 ? null : response.status;
    let body: Bytes;
    try {
      body = await bounded(response);
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
      throw lost(this.address, null, error);
    }
    try {
      return { messages: splitFrames(body), refused };
    } catch (error) {
      // What stands between (a proxy's error page) is no answer of a node.
      if (refused === null) throw error;
      return { messages: [], refused };
    }
  }
}

async function bounded(response: Response): Promise<Bytes> {
  const reader = response.body?.getReader();
  if (!reader) return new Uint8Array();
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return concat(...parts);
    length += value.length;
    if (length > MAX_ANSWER_BYTES) {
      await reader.cancel();
      throw new ProtocolError(`an answer of more than ${MAX_ANSWER_BYTES} bytes`);
    }
    parts.push(value);
  }
}

function lost(address: NodeAddress, signal: AbortSignal | null | undefined, error: unknown) {
  if (signal?.aborted) return signal.reason;
  return new LinkLost(`${address}: ${error instanceof Error ? error.message : "no answer"}`);
}
