/** One after the other, in the order in which they asked. */
export class Turns {
  private last: Promise<unknown> = Promise.resolve();

  /** Runs `work` when everything that asked before is done, however that ended. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.last.then(work, work);
    this.last = mine.catch(() => undefined);
    return mine;
  }
}
