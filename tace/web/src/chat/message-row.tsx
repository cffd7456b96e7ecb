import { useEngine } from "../app/engine-context";
import { errorText } from "../app/error-text";
import { useI18n } from "../app/i18n";
import type { Message, MessageId, Reaction } from "../engine/contract";
import { IconButton, type MenuAnchor, useFeedback } from "../ui";
import { harmlessLine } from "./harmless";
import { MessageBody } from "./message-body";
import { contentLine, stateWord } from "./preview";
import { StateSign } from "./state-sign";

export interface MessageActions {
  menu(message: Message, anchor: MenuAnchor): void;
  details(message: Message): void;
  jump(id: MessageId): void;
}

export interface MessageRowProps {
  message: Message;
  /** Of the other, made harmless. */
  name: string;
  /** First and last of the bubbles that belong together. */
  first: boolean;
  last: boolean;
  /** What is searched for in this chat; "" for nothing. */
  search: string;
  actions: MessageActions;
}

const MOST_SPOKEN = 600;

/** One message: for a screen reader one label with who, text, when and state. */
export function MessageRow(props: MessageRowProps) {
  const { message, name, actions } = props;
  const i18n = useI18n();
  const { t, dates } = i18n;
  const { mine } = message;
  const time = dates.time(message.sentMs);
  const spoken = {
    who: mine ? t("chat.message.you") : name,
    text: spokenText(i18n, message),
    time: message.edited ? `${time}, ${t("chat.message.edited")}` : time,
  };
  const label = mine
    ? t("chat.message.label-state", { ...spoken, state: stateWord(i18n, message.state) })
    : t("chat.message.label", spoken);
  const classes = ["message", mine ? "message-mine" : "message-theirs"];
  if (props.first) classes.push("message-first");
  if (props.last) classes.push("message-last");
  return (
    <article
      class={classes.join(" ")}
      tabIndex={-1}
      aria-label={label}
      data-message={message.id}
      onContextMenu={(event) => {
        // Over marked text the browser's own menu is wanted, to copy it.
        if (getSelection()?.isCollapsed === false) return;
        event.preventDefault();
        const { currentTarget: row, clientX: x, clientY: y } = event;
        actions.menu(message, x === 0 && y === 0 ? row : { x, y });
      }}
    >
      <div class="message-bubble">
        {message.replyTo ? (
          <Quoted quote={message.replyTo} name={name} onJump={actions.jump} />
        ) : null}
        <MessageBody message={message} search={props.search} />
        <div class="message-foot">
          {message.edited ? <span class="message-edited">{t("chat.message.edited")}</span> : null}
          <time
            dateTime={new Date(message.sentMs).toISOString()}
            title={dates.dateTime(message.sentMs)}
          >
            {time}
          </time>
          {mine ? (
            <button
              type="button"
              class="message-state"
              tabIndex={-1}
              aria-label={`${stateWord(i18n, message.state)}. ${t("chat.message.details")}`}
              onClick={() => actions.details(message)}
            >
              <StateSign state={message.state} />
            </button>
          ) : null}
        </div>
        {message.state === "failed" && mine ? <Retry message={message} /> : null}
      </div>
      <IconButton
        class="message-more"
        icon="more"
        tabIndex={-1}
        label={t("chat.message.menu", { time })}
        onClick={(event) => actions.menu(message, event.currentTarget)}
      />
      {message.reactions.length > 0 ? <Reactions message={message} name={name} /> : null}
    </article>
  );
}

function spokenText(i18n: ReturnType<typeof useI18n>, message: Message): string {
  if (message.kind === "text") return harmlessLine(message.text.slice(0, MOST_SPOKEN));
  return contentLine(i18n, { kind: message.kind, text: message.file?.name ?? "" });
}

function Quoted(props: {
  quote: NonNullable<Message["replyTo"]>;
  name: string;
  onJump: (id: MessageId) => void;
}) {
  const i18n = useI18n();
  const { t } = i18n;
  const { quote, name } = props;
  if (quote.kind === "gone") {
    // Nobody knows any more whose it was, and there is nothing to jump to.
    return <p class="message-quote message-quote-gone">{t("chat.message.quote-gone")}</p>;
  }
  return (
    <button
      type="button"
      class="message-quote"
      tabIndex={-1}
      onClick={() => props.onJump(quote.id)}
    >
      <span class="message-quote-who">
        {quote.mine ? t("chat.message.quote-mine") : t("chat.message.quote-theirs", { name })}
      </span>
      <bdi class="message-quote-text">
        {contentLine(i18n, { kind: quote.kind, text: quote.text })}
      </bdi>
    </button>
  );
}

function Retry({ message }: { message: Message }) {
  const i18n = useI18n();
  const { calls } = useEngine();
  const feedback = useFeedback();
  const retry = () =>
    calls
      .retry(message.id)
      .catch((error) => feedback.show(errorText(i18n, error), { tone: "problem" }));
  return (
    <div class="message-failed">
      <span>{i18n.t("chat.state.failed")}</span>
      <button type="button" class="message-retry" onClick={() => void retry()}>
        {i18n.t("chat.message.retry")}
      </button>
    </div>
  );
}

function Reactions({ message, name }: { message: Message; name: string }) {
  const i18n = useI18n();
  const { calls } = useEngine();
  const feedback = useFeedback();
  const toggle = (reaction: Reaction) =>
    calls
      .react(message.id, reaction.mine ? "" : reaction.emoji)
      .catch((error) => feedback.show(errorText(i18n, error), { tone: "problem" }));
  const label = (reaction: Reaction) => {
    const emoji = harmlessLine(reaction.emoji);
    if (reaction.mine && reaction.theirs) {
      return i18n.t("chat.message.reaction-both", { name, emoji });
    }
    return reaction.mine
      ? i18n.t("chat.message.reaction-you", { emoji })
      : i18n.t("chat.message.reaction-they", { name, emoji });
  };
  return (
    <div class="message-reactions">
      {message.reactions.map((reaction) => (
        <button
          key={reaction.emoji}
          type="button"
          class="message-reaction"
          aria-pressed={reaction.mine}
          title={label(reaction)}
          tabIndex={-1}
          onClick={() => void toggle(reaction)}
        >
          <span aria-hidden="true">{harmlessLine(reaction.emoji)}</span>
          {reaction.mine && reaction.theirs ? <span aria-hidden="true">2</span> : null}
          <span class="visually-hidden">{label(reaction)}</span>
        </button>
      ))}
    </div>
  );
}
