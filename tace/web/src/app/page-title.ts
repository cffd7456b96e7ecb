import { effect } from "@preact/signals";
import type { LiveEngine } from "./engine-context";
import type { I18n } from "./i18n";

/** Keeps the number of unread messages and requests in the title of the tab. */
export function keepTitle(page: { title: string }, engine: LiveEngine, i18n: I18n): () => void {
  return effect(() => {
    const { unread, requests } = engine.state.value;
    const name = i18n.t("app.name");
    const count = unread + requests;
    // Without the isolates that `t` puts round a text: tabs show them as boxes.
    page.title = count > 0 ? `(${i18n.dates.number(count)}) ${name}` : name;
  });
}
