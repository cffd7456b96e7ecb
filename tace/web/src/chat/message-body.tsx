import { useState } from "preact/hooks";
import { useI18n } from "../app/i18n";
import type { Message } from "../engine/contract";
import { fold, marksIn } from "../engine/folding";
import { Icon } from "../ui";
import { isOnlyEmoji } from "./emoji";
import { FileView } from "./file-view";
import { harmlessText } from "./harmless";
import { Marked } from "./marked";

/** A longer text is folded at first: one message must not bury the others. */
export const FOLDED_CHARACTERS = 1_200;

/** What a bubble holds: text as text, a file, or words for what is not there. */
export function MessageBody({ message, search }: { message: Message; search: string }) {
  const { t } = useI18n();
  switch (message.kind) {
    case "text":
      return <TextBody text={message.text} search={search} />;
    case "file":
      return message.file ? <FileView message={message} file={message.file} /> : null;
    case "deleted":
      return <Notice icon="trash">{t("chat.deleted")}</Notice>;
    case "unreadable":
      return <Notice icon="warning">{t("chat.unreadable")}</Notice>;
    case "newer":
      return <Notice icon="info">{t("chat.newer")}</Notice>;
  }
}

function TextBody({ text, search }: { text: string; search: string }) {
  const { t } = useI18n();
  const [open, setOpen] = useState(false);
  const isLong = text.length > FOLDED_CHARACTERS;
  const shown = harmlessText(isLong && !open ? text.slice(0, FOLDED_CHARACTERS) : text);
  const marks = search ? marksIn(shown, fold(search)) : [];
  return (
    <>
      <div
        class={isOnlyEmoji(text) ? "message-text message-text-emoji" : "message-text"}
        dir="auto"
      >
        <Marked text={shown} marks={marks} />
        {isLong && !open ? "…" : null}
      </div>
      {isLong ? (
        <button type="button" class="message-fold" onClick={() => setOpen(!open)}>
          {open ? t("chat.message.show-less") : t("chat.message.show-all", { count: text.length })}
        </button>
      ) : null}
    </>
  );
}

function Notice({ icon, children }: { icon: "trash" | "warning" | "info"; children: string }) {
  return (
    <div class="message-notice">
      <Icon name={icon} size="s" />
      <span>{children}</span>
    </div>
  );
}
