import { useEffect, useState } from "preact/hooks";
import { useEngine } from "../app/engine-context";
import { errorText } from "../app/error-text";
import { useI18n } from "../app/i18n";
import { chatOf, useRouter } from "../app/route";
import type { Chat } from "../engine/contract";
import { Button, Dialog, Menu, type MenuAnchor, useFeedback } from "../ui";
import { harmlessName } from "./harmless";

export interface OpenChatMenu {
  chat: Chat;
  anchor: MenuAnchor;
}

/** What can be done with a chat from the list. Deleting asks first. */
export function ChatMenu({ chat, anchor, onClose }: OpenChatMenu & { onClose: () => void }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const feedback = useFeedback();
  // Choosing closes the menu before it acts; "delete" then goes on to its question.
  const [step, setStep] = useState<"menu" | "question" | "over">("menu");
  useEffect(() => {
    if (step === "over") onClose();
  }, [step, onClose]);
  const carryOut = (done: Promise<void>) => {
    done.catch((error) => feedback.show(errorText(i18n, error), { tone: "problem" }));
  };
  const set = (change: Parameters<typeof calls.setChat>[1]) =>
    carryOut(calls.setChat(chat.identity, change));
  const markRead = async () => {
    const page = await calls.messages(chat.identity, { limit: 1 });
    const last = page.messages.at(-1);
    if (last) await calls.markRead(chat.identity, last.place);
  };
  if (step === "question") return <DeleteChat chat={chat} onClose={onClose} />;
  if (step === "over") return null;
  return (
    <Menu
      label={t("chat.menu.of", { name: harmlessName(chat.title) })}
      anchor={anchor}
      onClose={() => setStep("over")}
      items={[
        ...(chat.unread > 0
          ? [
              {
                label: t("chat.menu.read"),
                icon: "checks" as const,
                onSelect: () => carryOut(markRead()),
              },
            ]
          : []),
        {
          label: t(chat.pinned ? "chat.menu.unpin" : "chat.menu.pin"),
          icon: "pin",
          onSelect: () => set({ pinned: !chat.pinned }),
        },
        {
          label: t(chat.muted ? "chat.menu.unmute" : "chat.menu.mute"),
          icon: chat.muted ? "bell" : "muted",
          onSelect: () => set({ muted: !chat.muted }),
        },
        {
          label: t(chat.archived ? "chat.menu.unarchive" : "chat.menu.archive"),
          icon: "archive",
          onSelect: () => set({ archived: !chat.archived }),
        },
        {
          label: t("chat.menu.delete"),
          icon: "trash",
          danger: true,
          onSelect: () => setStep("question"),
        },
      ]}
    />
  );
}

/** The question before a chat goes; it says what goes with it. */
export function DeleteChat({ chat, onClose }: { chat: Chat; onClose: () => void }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const router = useRouter();
  const [busy, setBusy] = useState(false);
  const feedback = useFeedback();
  const remove = async () => {
    setBusy(true);
    try {
      await calls.deleteChat(chat.identity);
      onClose();
      if (chatOf(router.route.value) === chat.identity) router.replace({ at: "chats" });
    } catch (error) {
      setBusy(false);
      feedback.show(errorText(i18n, error), { tone: "problem" });
    }
  };
  return (
    <Dialog
      kind="alert"
      title={t("chat.delete.title", { name: harmlessName(chat.title) })}
      closeLabel={t("app.close")}
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>{t("app.cancel")}</Button>
          <Button variant="danger" busy={busy} onClick={remove}>
            {t("chat.delete.go")}
          </Button>
        </>
      }
    >
      <p>{t("chat.delete.text")}</p>
    </Dialog>
  );
}
