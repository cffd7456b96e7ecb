/** Installing the page as an app, where the browser offers it. */

import { type ReadonlySignal, signal } from "@preact/signals";

/** Chromium's event; not in TypeScript's own types. */
export interface InstallPrompt extends Event {
  prompt(): Promise<void>;
}

export class Installation {
  private readonly offered = signal<InstallPrompt | null>(null);

  constructor(page: Pick<Window, "addEventListener">) {
    page.addEventListener("beforeinstallprompt", (event) => {
      // Its own time is the settings, not the first second.
      event.preventDefault();
      this.offered.value = event as InstallPrompt;
    });
    page.addEventListener("appinstalled", () => {
      this.offered.value = null;
    });
  }

  get prompt(): ReadonlySignal<InstallPrompt | null> {
    return this.offered;
  }

  async ask(): Promise<void> {
    const prompt = this.offered.value;
    this.offered.value = null;
    await prompt?.prompt();
  }
}
