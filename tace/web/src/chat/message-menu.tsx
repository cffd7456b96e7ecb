import { useState } from "preact/hooks";
import { useEngine } from "../app/engine-context";
import { errorText } from "../app/error-text";
import { useI18n } from "../app/i18n";
import type { Message } from "../engine/contract";
import { Button, Dialog, Field, Menu, type MenuAnchor, type MenuItem, useFeedback } from "../ui";
import { QUICK_REACTIONS, reactionIn } from "./emoji";

export type MessageTask = "reply" | "edit" | "copy" | "delete" | "details" | "emoji";

/** What can be done with a message; a row of reactions above it. */
export function MessageMenu(props: {
  message: Message;
  anchor: MenuAnchor;
  onTask: (task: MessageTask) => void;
  onClose: () => void;
}) {
  const { message, onTask } = props;
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const feedback = useFeedback();
  const isContent = message.kind === "text" || message.kind === "file";
  const own = message.reactions.find((reaction) => reaction.mine)?.emoji ?? "";
  const react = (emoji: string) => {
    props.onClose();
    calls
      .react(message.id, emoji === own ? "" : emoji)
      .catch((error) => feedback.show(errorText(i18n, error), { tone: "problem" }));
  };
  const item = (task: MessageTask, label: string, icon: MenuItem["icon"]): MenuItem => ({
    label,
    ...(icon ? { icon } : {}),
    danger: task === "delete",
    onSelect: () => onTask(task),
  });
  const items: MenuItem[] = [];
  if (isContent) {
    items.push(item("reply", t("chat.message.reply"), "reply"));
    items.push(item("emoji", t("chat.message.other-emoji"), "face"));
  }
  if (message.kind === "text") {
    items.push(item("copy", t("chat.message.copy"), "copy"));
    if (message.mine) items.push(item("edit", t("chat.message.edit"), "edit"));
  }
  if (message.mine) items.push(item("details", t("chat.message.details"), "info"));
  items.push(item("delete", t("chat.message.delete"), "trash"));
  return (
    <Menu
      label={t("chat.message.menu", { time: i18n.dates.time(message.sentMs) })}
      anchor={props.anchor}
      items={items}
      onClose={props.onClose}
      head={
        isContent ? (
          <div class="quick-reactions">
            {QUICK_REACTIONS.map((emoji) => (
              <button
                key={emoji}
                type="button"
                role="menuitemcheckbox"
                aria-checked={emoji === own}
                class="quick-reaction"
                tabIndex={-1}
                onClick={() => react(emoji)}
              >
                {emoji}
              </button>
            ))}
          </div>
        ) : null
      }
    />
  );
}

/** Any emoji: the system's own panel knows them all, so a field is enough. */
export function EmojiDialog({ message, onClose }: { message: Message; onClose: () => void }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const [text, setText] = useState("");
  const [error, setError] = useState<string | null>(null);
  const react = async (event: Event) => {
    event.preventDefault();
    const emoji = reactionIn(text);
    if (!emoji) {
      setError(t("chat.react.wrong"));
      return;
    }
    try {
      await calls.react(message.id, emoji);
      onClose();
    } catch (refusal) {
      setError(errorText(i18n, refusal));
    }
  };
  return (
    <Dialog title={t("chat.react.title")} closeLabel={t("app.close")} onClose={onClose}>
      <form class="emoji-form" onSubmit={react}>
        <Field
          label={t("chat.react.field")}
          hint={t("chat.react.hint")}
          value={text}
          error={error}
          autocomplete="off"
          onInput={(value) => {
            setText(value);
            setError(null);
          }}
        />
        <Button type="submit" variant="primary">
          {t("chat.react.go")}
        </Button>
      </form>
    </Dialog>
  );
}

export function DeleteMessage({ message, onClose }: { message: Message; onClose: () => void }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const feedback = useFeedback();
  const remove = async () => {
    onClose();
    try {
      await calls.deleteMessage(message.id);
    } catch (error) {
      feedback.show(errorText(i18n, error), { tone: "problem" });
    }
  };
  return (
    <Dialog
      kind="alert"
      title={t("chat.delete-message.title")}
      closeLabel={t("app.close")}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t("app.cancel")}</Button>
          <Button variant="danger" onClick={remove}>
            {t("chat.message.delete")}
          </Button>
        </>
      }
    >
      <p>{t(message.mine ? "chat.delete-message.both" : "chat.delete-message.here")}</p>
    </Dialog>
  );
}
