import { useI18n } from "../app/i18n";
import type { MessageState } from "../engine/contract";
import { Icon, type IconName } from "../ui";
import { stateWord } from "./preview";

const SIGNS: Readonly<Record<MessageState, IconName>> = {
  saved: "clock",
  stored: "check",
  delivered: "checks",
  read: "checks",
  failed: "warning",
};

/** How far a message of ours has come: a sign, and the word for who cannot see it. */
export function StateSign({ state }: { state: MessageState }) {
  const i18n = useI18n();
  return (
    <span class={`state-sign state-sign-${state}`} title={stateWord(i18n, state)}>
      <Icon name={SIGNS[state]} size="s" label={stateWord(i18n, state)} />
    </span>
  );
}
