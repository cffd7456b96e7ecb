/** The page's side of the service worker: it registers it, and changes over to a new release. */

import { type ReadonlySignal, signal } from "@preact/signals";
import { trustedScriptUrl } from "../engine/trusted";
import type { ToPage, UseRelease } from "../sw/messages";

export class Releases {
  private readonly waiting = signal(false);
  private registration: ServiceWorkerRegistration | null = null;

  /** @param reload loads the page anew, once a new release has taken over. */
  constructor(
    private readonly container: ServiceWorkerContainer | undefined,
    private readonly reload: () => void,
  ) {}

  /** A checked new release waits for somebody to agree. */
  get isWaiting(): ReadonlySignal<boolean> {
    return this.waiting;
  }

  /** Without a service worker the page works as long as the node does. */
  async register(url: string): Promise<void> {
    const { container } = this;
    if (!container) return;
    // The first worker takes over a page that is the same release; only a change is a new one.
    let controlled = container.controller !== null;
    container.addEventListener("controllerchange", () => {
      if (controlled) this.reload();
      controlled = true;
    });
    container.addEventListener("message", (event: MessageEvent<Partial<ToPage> | null>) => {
      if (event.data?.type === "release-waiting") this.waiting.value = true;
    });
    this.registration = await container.register(trustedScriptUrl(url));
    if (this.registration.waiting) this.waiting.value = true;
  }

  useNew(): void {
    const message: UseRelease = { type: "use-release" };
    this.registration?.waiting?.postMessage(message);
  }
}
