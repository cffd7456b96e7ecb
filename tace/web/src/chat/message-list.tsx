import type { ComponentChildren, Ref } from "preact";
import { useEffect, useImperativeHandle, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useI18n } from "../app/i18n";
import type { Message, MessageId } from "../engine/contract";
import { Badge, Button, Icon } from "../ui";
import { type MessageActions, MessageRow } from "./message-row";
import type { MessageWindow } from "./message-window";
import { type TimelineRow, timeline } from "./timeline";

/** Nearer than this to an end, the next page is loaded. */
const NEAR_PIXELS = 600;
/** Nearer than this to the end, one is "at the end" and stays there when something arrives. */
const END_PIXELS = 40;

export interface MessageListHandle {
  /** Shows a message that is loaded, with the focus on it. */
  show(id: MessageId): boolean;
  toEnd(): void;
}

export interface MessageListProps {
  window: MessageWindow;
  name: string;
  label: string;
  firstUnread: MessageId | null;
  /** Where to begin: this message, else the "new" line, else the end. */
  startAt: MessageId | null;
  search: string;
  unread: number;
  actions: MessageActions;
  /** The place of the last message that is on the screen. */
  onSeen: (place: number) => void;
  onLatest: () => void;
  onKey: (message: Message, key: string) => boolean;
  empty: ComponentChildren;
  handle: Ref<MessageListHandle>;
}

/** Messages in order, all real elements; what is far away costs the browser no layout. */
export function MessageList(props: MessageListProps) {
  const { t, dates } = useI18n();
  const { window } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const anchor = useRef<{ element: Element; top: number } | null>(null);
  const atEnd = useRef(true);
  const begun = useRef(false);
  const drawn = useRef(new Map<string, { of: unknown[]; node: ComponentChildren }>());
  const [away, setAway] = useState(false);
  const state = window.state.value;
  const messages = state?.messages ?? [];

  const seen = () => {
    const element = scroller.current;
    if (!element || !begun.current) return;
    const end = element.getBoundingClientRect().bottom + 1;
    const rows = element.querySelectorAll<HTMLElement>("[data-message]");
    for (let at = rows.length - 1; at >= 0; at -= 1) {
      const row = rows[at];
      if (!row || row.getBoundingClientRect().top >= end) continue;
      const message = messages.find((each) => each.id === row.dataset.message);
      if (message) props.onSeen(message.place);
      return;
    }
  };

  const scrolled = () => {
    const element = scroller.current;
    if (!element || !begun.current) return;
    const below = element.scrollHeight - element.scrollTop - element.clientHeight;
    atEnd.current = below <= END_PIXELS && !window.state.value?.hasLater;
    setAway(!atEnd.current && below > NEAR_PIXELS / 2);
    anchor.current = firstShown(element);
    if (element.scrollTop < NEAR_PIXELS) void window.earlier();
    if (below < NEAR_PIXELS) void window.later();
    seen();
  };

  const show = (id: MessageId, focus: boolean): boolean => {
    const row = scroller.current?.querySelector<HTMLElement>(`[data-message="${CSS.escape(id)}"]`);
    if (!row) return false;
    row.scrollIntoView({ block: "center" });
    if (focus) row.focus({ preventScroll: true });
    scrolled();
    return true;
  };

  const toEnd = () => {
    const element = scroller.current;
    if (!element) return;
    element.scrollTop = element.scrollHeight;
    atEnd.current = true;
    anchor.current = null;
    setAway(false);
    seen();
  };

  useImperativeHandle(props.handle, () => ({ show: (id) => show(id, true), toEnd }));

  // Before the browser paints: the place that one looks at stays where it was.
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element || !state) return;
    if (!begun.current) {
      begun.current = true;
      const line = element.querySelector("[data-new]");
      if (props.startAt && show(props.startAt, true)) return;
      if (line) {
        line.scrollIntoView({ block: "start" });
        scrolled();
      } else toEnd();
      return;
    }
    if (atEnd.current && !state.hasLater) toEnd();
    else if (anchor.current?.element.isConnected) {
      const { element: row, top } = anchor.current;
      element.scrollTop += row.getBoundingClientRect().top - top;
    }
    seen();
  }, [state]);

  // A keyboard that opens, or a composer that grows, must not hide the end.
  useEffect(() => {
    const element = scroller.current;
    if (!element || typeof ResizeObserver === "undefined") return;
    const observer = new ResizeObserver(() => {
      if (atEnd.current) element.scrollTop = element.scrollHeight;
    });
    observer.observe(element);
    if (element.firstElementChild) observer.observe(element.firstElementChild);
    return () => observer.disconnect();
  }, [state === null]);

  // Where one looks, it has been read: coming back to the window counts as well.
  useEffect(() => {
    addEventListener("focus", seen);
    return () => removeEventListener("focus", seen);
  });

  const rows = timeline(messages, props.firstUnread);
  const roving = roverOf(scroller.current, messages);
  const draw = (row: TimelineRow): ComponentChildren => {
    if (row.row === "day") {
      return (
        <li key={row.key} class="message-day">
          <h2>{dates.day(row.ms, Date.now())}</h2>
        </li>
      );
    }
    if (row.row === "new") {
      return (
        <li key={row.key} class="message-new" data-new>
          <span>{t("chat.screen.new")}</span>
        </li>
      );
    }
    const { message, first, last } = row;
    const of = [message, first, last, props.name, props.search, roving === message.id];
    const before = drawn.current.get(row.key);
    if (before?.of.every((each, at) => each === of[at])) return before.node;
    const node = (
      <li key={row.key} class="message-item">
        <MessageRow {...{ message, first, last }} {...pick(props)} />
      </li>
    );
    drawn.current.set(row.key, { of, node });
    return node;
  };
  if (drawn.current.size > 2 * rows.length + 200) drawn.current.clear();

  const onKeyDown = (event: KeyboardEvent) => {
    const row = (event.target as Element | null)?.closest?.<HTMLElement>("[data-message]");
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = [...(scroller.current?.querySelectorAll<HTMLElement>("[data-message]") ?? [])];
    const at = all.indexOf(row);
    const to = {
      ArrowUp: Math.max(0, at - 1),
      ArrowDown: Math.min(all.length - 1, at + 1),
      Home: 0,
      End: all.length - 1,
    }[event.key];
    const target = to === undefined ? undefined : all[to];
    if (target) {
      event.preventDefault();
      event.stopPropagation();
      row.tabIndex = -1;
      target.tabIndex = 0;
      target.focus();
      return;
    }
    const message = messages.find((each) => each.id === row.dataset.message);
    if (event.target !== row || !message) return;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      props.actions.menu(message, row);
    } else if (props.onKey(message, event.key)) event.preventDefault();
  };

  return (
    <div class="messages">
      {/* biome-ignore lint/a11y/noStaticElementInteractions: keys of the messages in it, which have the focus */}
      <div
        ref={scroller}
        class="messages-scroll"
        onScroll={scrolled}
        onKeyDown={onKeyDown}
        onFocusIn={(event) => (event.target as Element).scrollIntoView?.({ block: "nearest" })}
      >
        {window.failed.value ? (
          <div class="messages-failed" role="alert">
            <p>{t("chat.screen.loading-failed")}</p>
            <Button icon="retry" onClick={() => void window.open(null)}>
              {t("app.retry")}
            </Button>
          </div>
        ) : null}
        {/* biome-ignore lint/a11y/noRedundantRoles: without its marks Safari takes a list for none */}
        <ol role="list" class="messages-list" aria-label={props.label}>
          {rows.map(draw)}
        </ol>
        {state && messages.length === 0 ? props.empty : null}
      </div>
      {away || state?.hasLater ? (
        <button
          type="button"
          class="messages-latest"
          aria-label={
            props.unread > 0
              ? t("chat.screen.latest-new", { count: props.unread })
              : t("chat.screen.latest")
          }
          onClick={props.onLatest}
        >
          <Icon name="down" />
          {props.unread > 0 ? <Badge tone="accent">{props.unread}</Badge> : null}
        </button>
      ) : null}
      <RovingStop scroller={scroller.current} last={messages.at(-1)?.id ?? null} />
    </div>
  );
}

function pick({ name, search, actions }: MessageListProps) {
  return { name, search, actions };
}

/** The message that Tab leads to; only a change of it has to be drawn. */
function roverOf(scroller: HTMLElement | null, messages: readonly Message[]): MessageId | null {
  const now = scroller?.querySelector<HTMLElement>('[data-message][tabindex="0"]');
  return now?.dataset.message ?? messages.at(-1)?.id ?? null;
}

/** One message is a stop of Tab: the one that had the focus last, else the latest. */
function RovingStop(props: { scroller: HTMLElement | null; last: MessageId | null }) {
  const { scroller, last } = props;
  useLayoutEffect(() => {
    if (!scroller) return;
    const stops = scroller.querySelectorAll<HTMLElement>('[data-message][tabindex="0"]');
    const focused = [...stops].find((stop) => stop === document.activeElement);
    if (focused) return;
    for (const stop of stops) stop.tabIndex = -1;
    const rows = scroller.querySelectorAll<HTMLElement>("[data-message]");
    const target = rows[rows.length - 1];
    if (target) target.tabIndex = 0;
  }, [scroller, last]);
  return null;
}

function firstShown(scroller: HTMLElement): { element: Element; top: number } | null {
  const { top: edge } = scroller.getBoundingClientRect();
  for (const element of scroller.querySelectorAll("[data-message]")) {
    const { top, bottom } = element.getBoundingClientRect();
    if (bottom > edge) return { element, top };
  }
  return null;
}
