/** What a page must never do unnoticed: log an error, throw one, or break its security policy. */

import type { BrowserContext } from "playwright-core";

export class Trouble {
  private readonly seen: string[] = [];
  private readonly allowed: RegExp[] = [];

  /** Watches all pages of a context, with their workers. */
  watch(context: BrowserContext, whose: string): void {
    // A breach of the Content Security Policy or of Trusted Types is an error on the console too.
    context.on("console", (message) => {
      if (message.type() === "error") {
        this.seen.push(`${whose}: ${message.text()} (${message.location().url})`);
      }
    });
    context.on("weberror", (error) => {
      this.seen.push(`${whose}: ${error.error().stack ?? error.error().message}`);
    });
  }

  /** A test that cuts a line or kills a node has the browser log that, and says so. */
  allow(text: RegExp): void {
    this.allowed.push(text);
  }

  /** The browser's own words for nodes that do not answer. */
  allowLostNodes(): void {
    this.allow(
      /net::ERR_(CONNECTION_|INTERNET_DISCONNECTED|EMPTY_RESPONSE|NETWORK_CHANGED|FAILED)/,
    );
    this.allow(/WebSocket connection to .* failed/);
  }

  /** What was not allowed. */
  get all(): string[] {
    return this.seen.filter((text) => !this.allowed.some((pattern) => pattern.test(text)));
  }
}
