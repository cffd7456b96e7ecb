/** What the tabs of one browser share, in memory: a channel and locks. */

import type { Between } from "../calls";
import type { Channel, Locks } from "../tab";

export class Browser implements Locks {
  private readonly channels = new Set<FakeChannel>();
  private readonly held = new Set<string>();
  private readonly queues = new Map<string, (() => void)[]>();

  /** One more tab's end of the channel. */
  channel(): Channel {
    const channel = new FakeChannel((from, message) => this.deliver(from, message));
    this.channels.add(channel);
    return channel;
  }

  async request(
    name: string,
    { signal }: { signal: AbortSignal },
    held: () => Promise<void>,
  ): Promise<void> {
    await this.take(name, signal);
    try {
      await held();
    } finally {
      this.held.delete(name);
      this.queues.get(name)?.shift()?.();
    }
  }

  private async take(name: string, signal: AbortSignal): Promise<void> {
    if (this.held.has(name)) {
      await new Promise<void>((resolve, reject) => {
        const queue = this.queues.get(name) ?? [];
        this.queues.set(name, queue);
        queue.push(resolve);
        signal.addEventListener("abort", () => {
          const at = queue.indexOf(resolve);
          if (at >= 0) queue.splice(at, 1);
          reject(signal.reason);
        });
      });
    }
    this.held.add(name);
  }

  private deliver(from: FakeChannel, message: Between): void {
    for (const channel of this.channels) {
      if (channel === from) continue;
      // As the real one: a copy, and not at once.
      const copy = structuredClone(message);
      queueMicrotask(() => channel.receive(copy));
    }
  }
}

class FakeChannel implements Channel {
  private listener: ((message: Between) => void) | null = null;
  private closed = false;

  constructor(private readonly send: (from: FakeChannel, message: Between) => void) {}

  post(message: Between): void {
    if (!this.closed) this.send(this, message);
  }

  listen(listener: (message: Between) => void): void {
    this.listener = listener;
  }

  close(): void {
    this.closed = true;
  }

  receive(message: Between): void {
    if (!this.closed) this.listener?.(message);
  }
}
