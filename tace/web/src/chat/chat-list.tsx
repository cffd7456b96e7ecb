import { useState } from "preact/hooks";
import { useEngine } from "../app/engine-context";
import { useI18n } from "../app/i18n";
import { chatOf, hrefOf, useRouter } from "../app/route";
import type { Chat } from "../engine/contract";
import { fold } from "../engine/folding";
import { Badge, EmptyState, Field, Icon, LinkButton, ListButton, Spinner } from "../ui";
import "./chat-list.css";
import { ChatMenu, type OpenChatMenu } from "./chat-menu";
import { ChatRow } from "./chat-row";

/** The filter only shows where a list is too long to be seen at once. */
const FILTER_FROM = 6;

/** All chats with contacts: pinned first, then by activity; strangers are one row. */
export function ChatList() {
  const { t } = useI18n();
  const engine = useEngine();
  const { route } = useRouter();
  const [filter, setFilter] = useState("");
  const [archiveOpen, setArchiveOpen] = useState(false);
  const [menu, setMenu] = useState<OpenChatMenu | null>(null);
  const all = engine.chats.value;
  const { requests } = engine.state.value;
  if (all === null) {
    return (
      <div class="chat-list-waiting">
        <Spinner label={t("app.loading")} />
      </div>
    );
  }

  const wanted = fold(filter.trim());
  const contacts = all.filter((chat) => chat.standing === "contact" && matches(chat, wanted));
  const shown = pinnedFirst(contacts.filter((chat) => !chat.archived));
  const archived = contacts.filter((chat) => chat.archived);
  const current = chatOf(route.value);
  const hasAny = all.some((chat) => chat.standing === "contact");
  const rows = (chats: readonly Chat[]) => (
    // biome-ignore lint/a11y/noRedundantRoles: without its marks Safari takes a list for none
    <ul role="list" class="chat-list-rows">
      {chats.map((chat) => (
        <ChatRow
          key={chat.identity}
          chat={chat}
          current={current === chat.identity}
          onMenu={setMenu}
        />
      ))}
    </ul>
  );

  return (
    <div class="chat-list">
      {all.length >= FILTER_FROM ? (
        <search class="chat-list-filter">
          <Field
            type="search"
            label={t("chat.list.filter")}
            labelHidden
            placeholder={t("chat.list.filter")}
            value={filter}
            onInput={setFilter}
            autocomplete="off"
            dir="auto"
          />
        </search>
      ) : null}
      {requests > 0 && !wanted ? (
        <ListButton
          href={hrefOf({ at: "requests" })}
          current={route.value.at === "requests"}
          start={
            <span class="chat-list-sign">
              <Icon name="people" />
            </span>
          }
          title={t("chat.list.requests")}
          detail={t("chat.list.requests-hint")}
          end={
            <Badge tone="accent" label={t("chat.list.requests-count", { count: requests })}>
              {requests}
            </Badge>
          }
        />
      ) : null}
      {hasAny ? null : (
        <EmptyState
          icon="people"
          title={t("chat.list.empty-title")}
          action={
            <LinkButton href={hrefOf({ at: "add", code: null })} variant="primary" icon="add">
              {t("app.nav.add")}
            </LinkButton>
          }
        >
          <p>{t("chat.list.empty-text")}</p>
        </EmptyState>
      )}
      {rows(shown)}
      {wanted && contacts.length === 0 ? (
        <p class="chat-list-none" role="status">
          {t("chat.list.none")}
        </p>
      ) : null}
      {archived.length > 0 ? (
        <>
          {wanted ? null : (
            <button
              type="button"
              class="chat-list-archive"
              aria-expanded={archiveOpen}
              onClick={() => setArchiveOpen(!archiveOpen)}
            >
              <Icon name="archive" size="s" />
              <span>{t("chat.list.archived", { count: archived.length })}</span>
              <Icon name={archiveOpen ? "close" : "down"} size="s" />
            </button>
          )}
          {archiveOpen || wanted ? rows(archived) : null}
        </>
      ) : null}
      {menu ? <ChatMenu {...menu} onClose={() => setMenu(null)} /> : null}
    </div>
  );
}

function matches(chat: Chat, wanted: string): boolean {
  if (!wanted) return true;
  return [chat.title, chat.name, chat.code].some((text) => fold(text).includes(wanted));
}

function pinnedFirst(chats: readonly Chat[]): Chat[] {
  return [...chats.filter((chat) => chat.pinned), ...chats.filter((chat) => !chat.pinned)];
}
