import { useI18n } from "../app/i18n";
import { hrefOf } from "../app/route";
import type { Chat } from "../engine/contract";
import { Avatar, Badge, Icon } from "../ui";
import type { OpenChatMenu } from "./chat-menu";
import { harmlessLine, harmlessName } from "./harmless";
import { previewOf } from "./preview";
import { StateSign } from "./state-sign";

/** One chat in the list: a link, and its menu on a right click, a long press or the menu key. */
export function ChatRow(props: {
  chat: Chat;
  current: boolean;
  onMenu: (menu: OpenChatMenu) => void;
}) {
  const { chat, current } = props;
  const i18n = useI18n();
  const { t, dates } = i18n;
  const title = harmlessName(chat.title);
  const draft = current ? "" : harmlessLine(chat.draft.slice(0, 200));
  return (
    <li>
      <a
        class={chat.unread > 0 ? "chat-row chat-row-unread" : "chat-row"}
        href={hrefOf({ at: "chat", identity: chat.identity, message: null })}
        aria-current={current ? "page" : undefined}
        onContextMenu={(event) => {
          event.preventDefault();
          const { currentTarget: row, clientX: x, clientY: y } = event;
          // The menu key has no place of its own.
          props.onMenu({ chat, anchor: x === 0 && y === 0 ? row : { x, y } });
        }}
      >
        <Avatar identity={chat.identity} name={title} />
        <span class="chat-row-text">
          <span class="chat-row-line">
            <bdi class="chat-row-title">{title}</bdi>
            {chat.verified ? (
              <Icon name="shieldCheck" size="s" label={t("chat.mark.verified")} />
            ) : null}
            {chat.newDeviceSinceMs !== null || chat.unlistedDevice || chat.uncheckedDevice ? (
              <Icon name="device" size="s" label={t("chat.mark.new-device")} />
            ) : null}
            {chat.muted ? <Icon name="muted" size="s" label={t("chat.mark.muted")} /> : null}
            {chat.pinned ? <Icon name="pin" size="s" label={t("chat.mark.pinned")} /> : null}
            <time class="chat-row-time" dateTime={new Date(chat.activeMs).toISOString()}>
              {dates.short(chat.activeMs, Date.now())}
            </time>
          </span>
          <span class="chat-row-line">
            {draft ? (
              <span class="chat-row-preview">
                <span class="chat-row-draft">{t("chat.list.draft")}</span> <bdi>{draft}</bdi>
              </span>
            ) : (
              <>
                {chat.last?.mine ? <StateSign state={chat.last.state} /> : null}
                <bdi class="chat-row-preview">{previewOf(i18n, chat)}</bdi>
              </>
            )}
            {chat.unread > 0 ? (
              <Badge
                tone={chat.muted ? "plain" : "accent"}
                label={t("chat.list.unread", { count: chat.unread })}
              >
                {dates.number(chat.unread)}
              </Badge>
            ) : null}
          </span>
        </span>
      </a>
    </li>
  );
}
