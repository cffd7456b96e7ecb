import { useEffect, useRef, useState } from "preact/hooks";
import { useEngine, useEngineEvents } from "../app/engine-context";
import { errorText } from "../app/error-text";
import { useI18n } from "../app/i18n";
import { hrefOf } from "../app/route";
import type { Chat, EngineEvent, Identity, Message, MessageId } from "../engine/contract";
import {
  Avatar,
  Banner,
  Button,
  EmptyState,
  Icon,
  IconButton,
  IconLink,
  LinkButton,
  type MenuAnchor,
  Spinner,
  useFeedback,
} from "../ui";
import { Composer, type ComposerTask } from "./composer";
import "./conversation.css";
import { DetailsDialog } from "./details-dialog";
import { harmlessName } from "./harmless";
import { MessageList, type MessageListHandle } from "./message-list";
import { DeleteMessage, EmojiDialog, MessageMenu, type MessageTask } from "./message-menu";
import type { MessageActions } from "./message-row";
import { MessageWindow } from "./message-window";
import { SearchBar } from "./search-bar";

/** One chat. @param message to jump to, as from a search. */
export function Conversation(props: { identity: Identity; message: MessageId | null }) {
  const { t } = useI18n();
  const engine = useEngine();
  const chat = engine.chat(props.identity);
  if (chat) return <OpenConversation chat={chat} message={props.message} />;
  if (engine.chats.value === null) {
    return (
      <div class="conversation-waiting">
        <Spinner label={t("app.loading")} />
      </div>
    );
  }
  return (
    <EmptyState
      isWhole
      icon="chat"
      title={t("chat.screen.gone")}
      action={<LinkButton href={hrefOf({ at: "chats" })}>{t("app.nav.chats")}</LinkButton>}
    />
  );
}

type Over =
  | { what: "menu"; message: Message; anchor: MenuAnchor }
  | { what: "details" | "delete" | "emoji"; message: Message };

function OpenConversation({ chat, message }: { chat: Chat; message: MessageId | null }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const feedback = useFeedback();
  const { identity } = chat;
  const name = harmlessName(chat.title);
  // The "new" line stays where it was when the chat was opened.
  const [firstUnread] = useState(chat.firstUnread);
  const [window] = useState(() => new MessageWindow(calls, identity));
  const list = useRef<MessageListHandle>(null);
  const [over, setOver] = useState<Over | null>(null);
  const [task, setTask] = useState<ComposerTask | null>(null);
  const [searching, setSearching] = useState(false);
  const [search, setSearch] = useState("");
  const seen = useRef(0);

  const [listener] = useState(() => (event: EngineEvent) => window.heard(event));
  useEngineEvents(listener);
  const jump = async (id: MessageId) => {
    if (!window.has(id)) await window.open(id);
    // Drawn after the signal has changed; then it can be shown.
    requestAnimationFrame(() => list.current?.show(id));
  };
  const latest = async () => {
    if (window.state.value?.hasLater) await window.open(null);
    requestAnimationFrame(() => list.current?.toEnd());
  };
  const opened = useRef<MessageId | null>(null);
  useEffect(() => {
    const begins = window.state.value === null;
    if (begins) void window.open(message ?? firstUnread);
    else if (message && message !== opened.current) void jump(message);
    opened.current = message;
  }, [message]);

  const [actions] = useState<MessageActions>(() => ({
    menu: (of, anchor) => setOver({ what: "menu", message: of, anchor }),
    details: (of) => setOver({ what: "details", message: of }),
    jump: (id) => void jump(id),
  }));

  const onSeen = (place: number) => {
    if (chat.standing !== "contact" || chat.unread === 0 || !document.hasFocus()) return;
    if (place <= seen.current) return;
    seen.current = place;
    // Where this fails it stays unread, and is seen again.
    calls.markRead(identity, place).catch(() => {
      seen.current = 0;
    });
  };

  const carryOut = (what: MessageTask, of: Message) => {
    if (what === "reply" || what === "edit") setTask({ what, message: of });
    else if (what === "copy") {
      navigator.clipboard.writeText(of.text).then(
        () => feedback.show(t("chat.message.copied"), { tone: "good" }),
        () => feedback.show(t("errors.no-clipboard"), { tone: "problem" }),
      );
    } else setOver({ what, message: of });
  };

  const onKey = (of: Message, key: string): boolean => {
    const content = of.kind === "text" || of.kind === "file";
    if (key === "r" && content) carryOut("reply", of);
    else if (key === "e" && of.kind === "text" && of.mine) carryOut("edit", of);
    else if (key === "c" && of.kind === "text") carryOut("copy", of);
    else if (key === "Delete") carryOut("delete", of);
    else return false;
    return true;
  };

  const editLast = (): boolean => {
    const all = window.state.value?.messages ?? [];
    const last = all.findLast((each) => each.mine && each.kind === "text");
    if (last) setTask({ what: "edit", message: last });
    return last !== undefined;
  };

  return (
    <div class="conversation">
      <header class="conversation-head">
        <IconLink
          href={hrefOf({ at: "chats" })}
          icon="back"
          label={t("app.back")}
          class="screen-back"
        />
        <a
          class="conversation-who"
          href={hrefOf({ at: "person", identity })}
          title={t("chat.screen.person", { name })}
        >
          <Avatar identity={identity} name={name} />
          <h1>
            <bdi>{name}</bdi>
          </h1>
          {chat.verified ? <Icon name="shieldCheck" label={t("chat.mark.verified")} /> : null}
        </a>
        <IconButton
          icon="search"
          label={t("chat.screen.search")}
          aria-pressed={searching}
          onClick={() => setSearching(!searching)}
        />
      </header>
      {searching ? (
        <SearchBar
          chat={identity}
          onText={setSearch}
          onHit={(id) => void jump(id)}
          onClose={() => {
            setSearching(false);
            setSearch("");
          }}
        />
      ) : null}
      {chat.uncheckedDevice ? (
        <Banner tone="warn" icon="device">
          {t("chat.screen.unchecked-device", { name })}
        </Banner>
      ) : null}
      {chat.newDeviceSinceMs !== null || chat.unlistedDevice ? (
        <Banner
          tone="warn"
          icon="device"
          action={
            <LinkButton href={hrefOf({ at: "person", identity })}>
              {t("chat.screen.look")}
            </LinkButton>
          }
        >
          {t("chat.screen.new-device", { name })}
        </Banner>
      ) : null}
      {chat.standing === "request" ? (
        <StandingNotice chat={chat} name={name} />
      ) : (
        <>
          <MessageList
            handle={list}
            window={window}
            name={name}
            label={t("chat.screen.messages", { name })}
            firstUnread={firstUnread}
            startAt={message}
            search={search}
            unread={chat.unread}
            actions={actions}
            onSeen={onSeen}
            onLatest={() => void latest()}
            onKey={onKey}
            empty={
              <EmptyState icon="chat" title={t("chat.screen.empty-title")}>
                <p>{t("chat.screen.empty-text")}</p>
              </EmptyState>
            }
          />
          {chat.standing === "blocked" ? (
            <StandingNotice chat={chat} name={name} />
          ) : (
            <Composer
              chat={chat}
              name={name}
              task={task}
              onTaskOver={() => setTask(null)}
              onEditLast={editLast}
              onSent={() => void latest()}
            />
          )}
        </>
      )}
      {over?.what === "menu" ? (
        <MessageMenu
          message={over.message}
          anchor={over.anchor}
          onClose={() => setOver(null)}
          onTask={(what) => carryOut(what, over.message)}
        />
      ) : null}
      {over?.what === "details" ? (
        <DetailsDialog message={over.message} onClose={() => setOver(null)} />
      ) : null}
      {over?.what === "delete" ? (
        <DeleteMessage message={over.message} onClose={() => setOver(null)} />
      ) : null}
      {over?.what === "emoji" ? (
        <EmojiDialog message={over.message} onClose={() => setOver(null)} />
      ) : null}
    </div>
  );
}

function StandingNotice({ chat, name }: { chat: Chat; name: string }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const feedback = useFeedback();
  const unblock = () =>
    calls
      .unblock(chat.identity)
      .catch((error) => feedback.show(errorText(i18n, error), { tone: "problem" }));
  return (
    <div class="conversation-standing">
      {chat.standing === "blocked" ? (
        <>
          <p>{t("chat.screen.blocked")}</p>
          <Button onClick={() => void unblock()}>{t("chat.screen.unblock")}</Button>
        </>
      ) : (
        <>
          <p>{t("chat.screen.request", { name })}</p>
          <LinkButton href={hrefOf({ at: "requests" })} variant="primary">
            {t("chat.screen.to-requests")}
          </LinkButton>
        </>
      )}
    </div>
  );
}
