/**
 * The exception family of everything that speaks to a node.
 *
 * A *refusal* is an answer that says no, with a word that programs branch on. A *failure* is the
 * absence of an answer: nothing is known about what the other side did.
 */
export class TaceError extends Error {
  /** @param code lower case with hyphens; never changed once released. */
  constructor(
    readonly code: string,
    message: string = code,
  ) {
    super(message);
    this.name = new.target.name;
  }
}

/** The other side did not answer. */
export class Failure extends TaceError {}

/** There is no connection to that node, or it went away before the answer came. */
export class LinkLost extends Failure {
  constructor(message: string) {
    super("link-lost", message);
  }
}

/** The answer did not come in time. */
export class TimedOut extends Failure {
  constructor(message: string) {
    super("timed-out", message);
  }
}

/** An answer that says no. The words are in docs/protocol/client.md, section 7. */
export class Refusal extends TaceError {
  /**
   * @param detail one line for a person.
   * @param retryAfterMs when asking again makes sense; 0 where time alone will not help.
   */
  constructor(
    code: string,
    readonly detail = "",
    readonly retryAfterMs = 0,
  ) {
    super(code, detail || code);
  }
}

/** Bytes that break the protocol: always the sender's fault, and all that leaves a decoder. */
export class ProtocolError extends Refusal {
  constructor(detail: string) {
    super("protocol-error", detail);
  }
}

/** A message of a number that this version does not know. */
export class UnknownMessage extends Refusal {
  constructor(detail: string) {
    super("unknown-message", detail);
  }
}

/** A stored object (envelope, tombstone, removal) that is not what it should be. */
export class Malformed extends Refusal {
  constructor(detail: string) {
    super("malformed", detail);
  }
}

/** A record that does not parse, or is not signed by the key it names. */
export class BadRecord extends Refusal {
  constructor(detail: string) {
    super("bad-record", detail);
  }
}

/** A refusal that arrived, as an error. A word that is not known here is a refusal like any other. */
export function refusalFromWire(code: string, detail: string, retryAfterMs: number): Refusal {
  switch (code) {
    case "protocol-error":
      return new ProtocolError(detail);
    case "unknown-message":
      return new UnknownMessage(detail);
    default:
      return new Refusal(code, detail, retryAfterMs);
  }
}
