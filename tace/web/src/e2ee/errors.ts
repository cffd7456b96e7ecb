/** What the end-to-end protocol refuses, beside `Malformed` and `BadRecord` of the wire. */

import { TaceError } from "../wire/errors";

/** A record or a certificate is over, or claims to live too long. */
export class Expired extends TaceError {
  constructor(message: string) {
    super("expired", message);
  }
}

/** There is no session to send on: fetch the device's record and start one. */
export class NoSession extends TaceError {
  constructor() {
    super("no-session", "there is no session to send on");
  }
}

/** More than can be sent, even in parts. */
export class TooLarge extends TaceError {
  constructor(message: string) {
    super("too-large", message);
  }
}

/** An older record than the one that is known: a replica is behind, or lies. */
export class StaleSequence extends TaceError {
  constructor() {
    super("stale-sequence", "an older record than the one that is known");
  }
}
