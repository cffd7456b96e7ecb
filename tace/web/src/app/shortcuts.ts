/** The keyboard shortcuts: one table for what they do and for the list in the settings. */

export type ShortcutAction =
  | "search"
  | "add"
  | "settings"
  | "help"
  | "next-chat"
  | "previous-chat"
  | "next-pane"
  | "back";

export interface Shortcut {
  action: ShortcutAction;
  /** As `KeyboardEvent.key`. */
  key: string;
  /** command: Ctrl, and ⌘ on Apple's keyboards. Letters alone stay free for typing. */
  with: "command" | "alt" | "none";
}

export const SHORTCUTS: readonly Shortcut[] = [
  { action: "search", key: "k", with: "command" },
  { action: "add", key: "a", with: "alt" },
  { action: "settings", key: ",", with: "command" },
  { action: "help", key: "/", with: "command" },
  { action: "next-chat", key: "ArrowDown", with: "alt" },
  { action: "previous-chat", key: "ArrowUp", with: "alt" },
  { action: "next-pane", key: "F6", with: "none" },
  { action: "back", key: "Escape", with: "none" },
];

type Pressed = Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">;

export function shortcutFor(event: Pressed): ShortcutAction | null {
  if (event.shiftKey) return null;
  const command = event.ctrlKey || event.metaKey;
  const held = command && event.altKey ? null : command ? "command" : event.altKey ? "alt" : "none";
  const found = SHORTCUTS.find((shortcut) => shortcut.key === event.key && shortcut.with === held);
  return found?.action ?? null;
}

/** The identity above or below in a list; from nowhere it is the first. */
export function neighbour(
  list: readonly string[],
  current: string | null,
  step: 1 | -1,
): string | null {
  const at = current === null ? -1 : list.indexOf(current);
  if (at < 0) return list[0] ?? null;
  return list[at + step] ?? null;
}
