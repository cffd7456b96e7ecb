/** The address of a node as people write it, and what follows from it. */

export const SOCKET_PATH = "/v1/socket";
const MAX_URL = 200;
const SCHEMES: Readonly<Record<string, string>> = {
  "http:": "http:",
  "ws:": "http:",
  "https:": "https:",
  "wss:": "https:",
};
// Those that the page's Content-Security-Policy lets through without TLS.
const LOCAL_HOSTS = new Set(["localhost", "127.0.0.1"]);

/** What was written is no address of a node; the text is one line for a person. */
export class BadAddress extends Error {}

/** Host, port and whether TLS stands in front. Compare by `origin`. */
export class NodeAddress {
  /** What a lease is signed for: `scheme://host[:port]`, a default port left out. */
  readonly origin: string;
  readonly #url: URL;

  private constructor(url: URL) {
    this.#url = url;
    this.origin = url.origin;
  }

  /**
   * From `http(s)://host[:port]` or `ws(s)://host[:port]`.
   *
   * @throws BadAddress anything else.
   */
  static parse(text: string): NodeAddress {
    if (text.length > MAX_URL) {
      throw new BadAddress(`a node's address has at most ${MAX_URL} characters`);
    }
    const [, written = "", rest = ""] = /^([a-z]+:)(.*)$/i.exec(text.trim()) ?? [];
    const scheme = SCHEMES[written.toLowerCase()];
    if (!scheme || !rest.startsWith("//")) {
      throw new BadAddress("a node's address begins with http:// or https://");
    }
    // Only after the scheme is an http one does the parser know its default port.
    const url = URL.canParse(scheme + rest) ? new URL(scheme + rest) : null;
    if (!url?.hostname || url.port === "0") {
      throw new BadAddress("a node's address is a scheme, a host and a port");
    }
    const extra = url.username || url.password || url.search || url.hash;
    if (extra || (url.pathname !== "/" && url.pathname !== SOCKET_PATH)) {
      throw new BadAddress("a node's address is a scheme, a host and a port");
    }
    return new NodeAddress(url);
  }

  get secure(): boolean {
    return this.#url.protocol === "https:";
  }

  get socketUrl(): string {
    return `${this.origin.replace(/^http/, "ws")}${SOCKET_PATH}`;
  }

  /** Where one of the paths of long polling is. */
  urlOf(path: string): string {
    return this.origin + path;
  }

  /**
   * Whether a page of that origin may reach it: by https, on this very machine, or where the page
   * itself comes from. Browsers block everything else as mixed content.
   */
  reachableFrom(pageOrigin: string): boolean {
    return this.secure || LOCAL_HOSTS.has(this.#url.hostname) || this.origin === pageOrigin;
  }

  toString(): string {
    return this.origin;
  }
}
