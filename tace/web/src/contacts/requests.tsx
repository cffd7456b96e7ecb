import { useState } from "preact/hooks";
import { useEngine } from "../app/engine-context";
import { errorText } from "../app/error-text";
import { useI18n } from "../app/i18n";
import { hrefOf, useRouter } from "../app/route";
import { DeleteChat } from "../chat/chat-menu";
import { harmlessName } from "../chat/harmless";
import type { Chat } from "../engine/contract";
import { Avatar, Button, EmptyState, Screen, useFeedback } from "../ui";
import "./contacts.css";

/** Strangers who wrote: who, when and how many; of what they wrote nothing before one accepts. */
export function Requests() {
  const { t } = useI18n();
  const engine = useEngine();
  const [deleting, setDeleting] = useState<Chat | null>(null);
  const waiting = (engine.chats.value ?? []).filter((chat) => chat.standing === "request");
  return (
    <Screen
      title={t("chat.list.requests")}
      back={{ href: hrefOf({ at: "chats" }), label: t("app.back") }}
    >
      {waiting.length === 0 ? (
        <EmptyState icon="people" title={t("contacts.requests.empty")}>
          <p>{t("contacts.requests.empty-text")}</p>
        </EmptyState>
      ) : (
        <>
          <p class="muted">{t("contacts.requests.text")}</p>
          {/* biome-ignore lint/a11y/noRedundantRoles: without its marks Safari takes a list for none */}
          <ul role="list" class="requests">
            {waiting.map((chat) => (
              <Request key={chat.identity} chat={chat} onDelete={() => setDeleting(chat)} />
            ))}
          </ul>
        </>
      )}
      {deleting ? <DeleteChat chat={deleting} onClose={() => setDeleting(null)} /> : null}
    </Screen>
  );
}

function Request({ chat, onDelete }: { chat: Chat; onDelete: () => void }) {
  const i18n = useI18n();
  const { t, dates } = i18n;
  const { calls } = useEngine();
  const router = useRouter();
  const feedback = useFeedback();
  const [busy, setBusy] = useState(false);
  const name = harmlessName(chat.title);
  const carryOut = async (step: Promise<void>, then: () => void) => {
    setBusy(true);
    try {
      await step;
      then();
    } catch (error) {
      setBusy(false);
      feedback.show(errorText(i18n, error), { tone: "problem" });
    }
  };
  return (
    <li class="request">
      <div class="contacts-card">
        <Avatar identity={chat.identity} name={name} />
        <div class="contacts-card-text">
          <h2>
            <bdi>{name}</bdi>
          </h2>
          <p class="muted">
            {t("contacts.requests.sent", {
              count: chat.unread,
              when: dates.short(chat.activeMs, Date.now()),
            })}
          </p>
          <code class="code" dir="ltr">
            {chat.code}
          </code>
        </div>
      </div>
      <div class="contacts-buttons">
        <Button
          variant="primary"
          busy={busy}
          onClick={() =>
            void carryOut(calls.accept(chat.identity), () =>
              router.go({ at: "chat", identity: chat.identity, message: null }),
            )
          }
        >
          {t("contacts.requests.accept")}
        </Button>
        <Button
          icon="block"
          onClick={() =>
            void carryOut(calls.block(chat.identity), () =>
              feedback.show(t("contacts.blocked", { name }), {
                action: {
                  label: t("chat.screen.unblock"),
                  onSelect: () => void carryOut(calls.unblock(chat.identity), () => undefined),
                },
              }),
            )
          }
        >
          {t("contacts.block")}
        </Button>
        <Button variant="quiet" icon="trash" onClick={onDelete}>
          {t("contacts.requests.delete")}
        </Button>
      </div>
    </li>
  );
}
