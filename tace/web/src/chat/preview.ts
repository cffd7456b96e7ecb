import type { I18n } from "../app/i18n";
import type { Chat, Message, MessageState } from "../engine/contract";
import { harmlessLine } from "./harmless";

const MOST_CHARACTERS = 120;

/** What a message says, in one line: for the list of chats and for quotes. */
export function contentLine(i18n: I18n, message: Pick<Message, "kind" | "text">): string {
  switch (message.kind) {
    case "text":
      return harmlessLine(message.text.slice(0, 2 * MOST_CHARACTERS)).slice(0, MOST_CHARACTERS);
    case "file":
      return i18n.t("chat.preview.file", { name: harmlessLine(message.text).slice(0, 64) });
    case "deleted":
      return i18n.t("chat.deleted");
    case "unreadable":
      return i18n.t("chat.unreadable");
    case "newer":
      return i18n.t("chat.newer");
  }
}

export function previewOf(i18n: I18n, chat: Chat): string {
  if (!chat.last) return i18n.t("chat.preview.empty");
  const line = contentLine(i18n, chat.last);
  return chat.last.mine ? i18n.t("chat.preview.mine", { text: line }) : line;
}

export function stateWord(i18n: I18n, state: MessageState): string {
  return i18n.t(`chat.state.${state}`);
}
