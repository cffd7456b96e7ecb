/**
 * Showing what one device says in the order it was said, without waiting long for what is missing.
 *
 * The sender counts. What comes before its turn is held until the gap closes, for 2 seconds, or
 * until the mailbox is known to be empty, whichever is first.
 */

export const HOLD_SECONDS = 2;
/** More than a gateway's window of messages that are not acked. */
export const MAX_HELD = 256;

interface Held<T> {
  came: number;
  items: T[];
}

/** One sender device's side of one conversation. Every method gives what may be shown now. */
export class HoldBack<T> {
  private readonly held = new Map<number, Held<T>>();

  /**
   * @param next the counter after the last one shown, from the client's store; null when nothing
   *   was seen yet, because a device that is new here may come in at any count.
   */
  constructor(private next: number | null = null) {}

  get nextCounter(): number | null {
    return this.next;
  }

  get size(): number {
    let size = 0;
    for (const { items } of this.held.values()) size += items.length;
    return size;
  }

  /**
   * Something arrived at `now` (seconds of any steady clock).
   *
   * What has no place (counter 0) or comes after its turn was given up is shown at once; the client
   * puts it where its counter says.
   */
  offer(counter: number, item: T, now: number): T[] {
    if (this.next === null && counter === 1) this.next = 1;
    if (counter === 0 || (this.next !== null && counter < this.next)) return [item];
    // A sender that was set back may give a place twice: both are shown there.
    const held = this.held.get(counter) ?? { came: now, items: [] };
    held.items.push(item);
    this.held.set(counter, held);
    if (this.size > MAX_HELD) return this.releaseThrough(Math.min(...this.held.keys()));
    return this.releaseWhile((each) => each === this.next);
  }

  /** What has waited 2 seconds, and all that stands before it. */
  due(now: number): T[] {
    const waited = [...this.held].flatMap(([counter, { came }]) =>
      now >= came + HOLD_SECONDS ? [counter] : [],
    );
    return waited.length ? this.releaseThrough(Math.max(...waited)) : [];
  }

  /** Everything that is held: nothing else lies in the mailbox. */
  caughtUp(): T[] {
    return this.held.size ? this.releaseThrough(Math.max(...this.held.keys())) : [];
  }

  /** When `due` has something to give, on the clock of `offer`. */
  deadline(): number | null {
    if (!this.held.size) return null;
    return Math.min(...[...this.held.values()].map(({ came }) => came)) + HOLD_SECONDS;
  }

  /** All held up to `last`, and what follows it without a gap. */
  private releaseThrough(last: number): T[] {
    return this.releaseWhile((each) => each <= last || each === this.next);
  }

  private releaseWhile(mayGo: (counter: number) => boolean): T[] {
    const released: T[] = [];
    for (const counter of [...this.held.keys()].sort((a, b) => a - b)) {
      if (!mayGo(counter)) break;
      released.push(...(this.held.get(counter)?.items ?? []));
      this.held.delete(counter);
      this.next = counter + 1;
    }
    return released;
  }
}
