import { useState } from "preact/hooks";
import { useEngine } from "../app/engine-context";
import { errorText } from "../app/error-text";
import { useI18n } from "../app/i18n";
import { hrefOf } from "../app/route";
import { DeleteChat } from "../chat/chat-menu";
import { harmlessName } from "../chat/harmless";
import type { Chat, Identity } from "../engine/contract";
import {
  Avatar,
  Badge,
  Banner,
  Button,
  CopyButton,
  Dialog,
  EmptyState,
  Field,
  LinkButton,
  Screen,
  Select,
  Toggle,
  useFeedback,
} from "../ui";
import "./contacts.css";
import { Safety } from "./safety";

const RETENTION_DAYS = [1, 7, 30, 90, 365] as const;

/** Everything about one person, and what can be set for the chat with them. */
export function Person({ identity }: { identity: Identity }) {
  const { t } = useI18n();
  const engine = useEngine();
  const chat = engine.chat(identity);
  const isHere = chat !== undefined;
  return (
    <Screen
      title={t("contacts.person.title")}
      back={{
        href: hrefOf(isHere ? { at: "chat", identity, message: null } : { at: "chats" }),
        label: t("app.back"),
        always: true,
      }}
    >
      {chat ? (
        <Facts chat={chat} />
      ) : engine.chats.value === null ? null : (
        <EmptyState
          icon="person"
          title={t("chat.screen.gone")}
          action={<LinkButton href={hrefOf({ at: "chats" })}>{t("app.nav.chats")}</LinkButton>}
        />
      )}
    </Screen>
  );
}

function Facts({ chat }: { chat: Chat }) {
  const i18n = useI18n();
  const { t, dates } = i18n;
  const { calls } = useEngine();
  const feedback = useFeedback();
  const { identity } = chat;
  const name = harmlessName(chat.title);
  const ownName = harmlessName(chat.name);
  const [alias, setAlias] = useState(chat.alias);
  const [asking, setAsking] = useState<"clear" | "delete" | "block" | null>(null);
  const carryOut = (step: Promise<void>, done?: string) =>
    void step.then(
      () => done && feedback.show(done, { tone: "good" }),
      (error) => feedback.show(errorText(i18n, error), { tone: "problem" }),
    );
  const set = (change: Parameters<typeof calls.setChat>[1], done?: string) =>
    carryOut(calls.setChat(identity, change), done);
  return (
    <>
      <div class="person-head">
        <Avatar identity={identity} name={name} size="xl" />
        <h2>
          <bdi>{name}</bdi>
        </h2>
        {chat.verified ? (
          <Badge tone="good" icon="shieldCheck">
            {t("contacts.safety.verified")}
          </Badge>
        ) : (
          <Badge icon="shield">{t("contacts.safety.not-verified")}</Badge>
        )}
        {chat.alias && ownName ? (
          <p class="muted">{t("contacts.person.own-name", { name: ownName })}</p>
        ) : null}
      </div>
      {chat.newDeviceSinceMs !== null ? (
        <Banner
          tone="warn"
          icon="device"
          action={
            <Button onClick={() => carryOut(calls.newDeviceSeen(identity))}>
              {t("contacts.person.device-seen")}
            </Button>
          }
        >
          {t("contacts.person.new-device", { when: dates.dateTime(chat.newDeviceSinceMs) })}
        </Banner>
      ) : null}
      {chat.unlistedDevice ? (
        <Banner tone="danger" icon="warning">
          {t("contacts.person.unlisted")}
        </Banner>
      ) : null}
      <Safety chat={chat} name={name} />
      <section class="contacts-section">
        <form
          class="contacts-form"
          onSubmit={(event) => {
            event.preventDefault();
            set({ alias: alias.trim() }, t("contacts.person.alias-saved"));
          }}
        >
          <Field
            label={t("contacts.person.alias")}
            hint={t("contacts.add.alias-hint")}
            value={alias}
            maxLength={64}
            onInput={setAlias}
            autocomplete="off"
            dir="auto"
          />
          {alias.trim() === chat.alias ? null : <Button type="submit">{t("app.save")}</Button>}
        </form>
        <div>
          <h3>{t("contacts.person.code")}</h3>
          <code class="code" dir="ltr">
            {chat.code}
          </code>
        </div>
        <div class="contacts-buttons">
          <CopyButton
            text={chat.code}
            label={t("contacts.mine.copy-code")}
            copiedLabel={t("app.copied")}
            onRefused={() => feedback.show(t("errors.no-clipboard"), { tone: "problem" })}
          />
        </div>
      </section>
      <section class="contacts-section">
        <h2>{t("contacts.person.chat")}</h2>
        <Toggle
          label={t("contacts.person.mute")}
          hint={t("contacts.person.mute-hint")}
          checked={chat.muted}
          onChange={(muted) => set({ muted })}
        />
        <Toggle
          label={t("contacts.person.pin")}
          checked={chat.pinned}
          onChange={(pinned) => set({ pinned })}
        />
        <Toggle
          label={t("contacts.person.archive")}
          checked={chat.archived}
          onChange={(archived) => set({ archived })}
        />
        <Select
          label={t("contacts.retention.label")}
          hint={t("contacts.retention.hint")}
          value={String(chat.retentionDays)}
          onChange={(value) =>
            set({
              retentionDays: value === "global" ? value : value === "null" ? null : Number(value),
            })
          }
          options={[
            { value: "global", label: t("contacts.retention.global") },
            ...RETENTION_DAYS.map((days) => ({
              value: String(days),
              label: t("contacts.retention.days", { count: days }),
            })),
            { value: "null", label: t("contacts.retention.ever") },
          ]}
        />
      </section>
      <section class="contacts-section">
        <div class="contacts-buttons">
          <Button icon="trash" onClick={() => setAsking("clear")}>
            {t("contacts.person.clear")}
          </Button>
          {chat.standing === "blocked" ? (
            <Button icon="block" onClick={() => carryOut(calls.unblock(identity))}>
              {t("chat.screen.unblock")}
            </Button>
          ) : (
            <Button icon="block" onClick={() => setAsking("block")}>
              {t("contacts.block")}
            </Button>
          )}
          <Button variant="danger" icon="trash" onClick={() => setAsking("delete")}>
            {t("chat.menu.delete")}
          </Button>
        </div>
      </section>
      {asking === "delete" ? <DeleteChat chat={chat} onClose={() => setAsking(null)} /> : null}
      {asking === "clear" || asking === "block" ? (
        <Dialog
          kind="alert"
          title={t(`contacts.${asking}.title`, { name })}
          closeLabel={t("app.close")}
          onClose={() => setAsking(null)}
          actions={
            <>
              <Button onClick={() => setAsking(null)}>{t("app.cancel")}</Button>
              <Button
                variant="danger"
                onClick={() => {
                  setAsking(null);
                  if (asking === "clear") carryOut(calls.clearHistory(identity));
                  else carryOut(calls.block(identity));
                }}
              >
                {t(`contacts.${asking}.go`)}
              </Button>
            </>
          }
        >
          <p>{t(`contacts.${asking}.text`)}</p>
        </Dialog>
      ) : null}
    </>
  );
}
