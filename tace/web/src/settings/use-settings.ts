import { useState } from "preact/hooks";
import { useEngine } from "../app/engine-context";
import { errorText } from "../app/error-text";
import { useI18n } from "../app/i18n";
import type { Settings } from "../engine/contract";
import { useFeedback } from "../ui";

/** The settings of the identity, and what changes them; a refusal is told in a toast. */
export function useSettings(): [Settings, (change: Partial<Settings>) => void] {
  const engine = useEngine();
  const { run } = useCommand();
  return [engine.state.value.settings, (change) => run(() => engine.calls.setSettings(change))];
}

/** Runs one command at a time and tells of what fails. */
export function useCommand(): {
  busy: boolean;
  run: (command: () => Promise<unknown>, done?: string) => Promise<void>;
} {
  const i18n = useI18n();
  const feedback = useFeedback();
  const [busy, setBusy] = useState(false);
  const run = async (command: () => Promise<unknown>, done?: string) => {
    setBusy(true);
    try {
      await command();
      if (done !== undefined) feedback.show(done, { tone: "good" });
    } catch (error) {
      feedback.show(errorText(i18n, error), { tone: "problem" });
    }
    setBusy(false);
  };
  return { busy, run };
}
