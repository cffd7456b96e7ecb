import { useI18n } from "../app/i18n";
import { SHORTCUTS, type Shortcut } from "../app/shortcuts";

const KEY_SIGNS: Readonly<Record<string, string>> = {
  ArrowDown: "↓",
  ArrowUp: "↑",
  Escape: "Esc",
};

/** The keys of the conversation, which its own fields and lists hear (src/chat). */
const IN_CONVERSATION = [
  ["send", "Enter"],
  ["line", "shift+Enter"],
  ["edit", "↑"],
  ["messages", "↑ ↓"],
  ["menu", "shift+F10"],
] as const;

export function Shortcuts() {
  const { t } = useI18n();
  const command = /Mac|iPhone|iPad/.test(navigator.userAgent)
    ? "⌘"
    : t("settings.shortcuts.key-ctrl");
  const keysOf = (shortcut: Shortcut) => {
    const key = KEY_SIGNS[shortcut.key] ?? shortcut.key.toUpperCase();
    const held = { command, alt: "Alt", none: "" }[shortcut.with];
    return held === "" ? key : `${held} + ${key}`;
  };
  return (
    <dl class="settings-keys">
      {SHORTCUTS.map((shortcut) => (
        <Row
          key={shortcut.action}
          does={t(`settings.shortcuts.${shortcut.action}`)}
          keys={keysOf(shortcut)}
        />
      ))}
      {IN_CONVERSATION.map(([name, keys]) => (
        <Row
          key={name}
          does={t(`settings.shortcuts.${name}`)}
          keys={keys.replace("shift+", `${t("settings.shortcuts.key-shift")} + `)}
        />
      ))}
    </dl>
  );
}

function Row({ does, keys }: { does: string; keys: string }) {
  return (
    <>
      <dt>{does}</dt>
      <dd>
        <kbd>{keys}</kbd>
      </dd>
    </>
  );
}
