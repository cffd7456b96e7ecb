/**
 * Who is told of what has arrived, and how: by a notification of the system while a tab is open
 * and not looked at, by a word for screen readers while it is. No notification has content.
 */

import type { Chat, EngineEvent, Identity, Settings } from "../engine/contract";
import type { LiveEngine } from "./engine-context";
import type { I18n } from "./i18n";
import { chatOf, type Router } from "./route";

export type Arrival = Extract<EngineEvent, { event: "arrived" }>;

/** What is asked of the page at the moment something arrives. */
export interface Attention {
  /** The page is on the screen and has the focus. */
  focused: boolean;
  openChat: Identity | null;
  permission: NotificationPermission;
  /** Local, 0 to 1439. */
  minutesSinceMidnight: number;
}

export type Telling = "notify" | "announce" | "nothing";

/** @param chat undefined: not known here, as a request that was just deleted. */
export function tellingOf(
  arrival: Arrival,
  chat: Pick<Chat, "muted" | "standing"> | undefined,
  settings: Settings,
  attention: Attention,
): Telling {
  if (chat?.muted || chat?.standing === "blocked") return "nothing";
  if (attention.focused) {
    // The open conversation says its own messages.
    return attention.openChat === arrival.chat ? "nothing" : "announce";
  }
  if (!settings.notifications || attention.permission !== "granted") return "nothing";
  return isQuiet(settings, attention.minutesSinceMidnight) ? "nothing" : "notify";
}

/** Quiet hours may go over midnight; from and to the same is the whole day. */
export function isQuiet(
  settings: Pick<Settings, "quietFrom" | "quietTo">,
  minutesSinceMidnight: number,
): boolean {
  const { quietFrom: from, quietTo: to } = settings;
  if (from === null || to === null) return false;
  return from < to
    ? minutesSinceMidnight >= from && minutesSinceMidnight < to
    : minutesSinceMidnight >= from || minutesSinceMidnight < to;
}

/** What the system shows. */
export interface Notice {
  title: string;
  body: string;
  /** A later one of the same chat takes the place of the earlier. */
  tag: string;
}

/** The page's surroundings; a test gives its own. */
export interface NoticePorts {
  attention(): Omit<Attention, "openChat">;
  show(notice: Notice, onPress: () => void): void;
  announce(text: string): void;
}

/** Tells of arrivals as long as it lives. @returns what ends it. */
export function tellOfArrivals(
  engine: LiveEngine,
  i18n: I18n,
  router: Router,
  ports: NoticePorts,
): () => void {
  return engine.calls.subscribe((event) => {
    if (event.event !== "arrived") return;
    const { settings } = engine.state.value;
    const openChat = chatOf(router.route.value);
    const attention = { ...ports.attention(), openChat };
    const telling = tellingOf(event, engine.chat(event.chat), settings, attention);
    if (telling === "nothing") return;
    const body = event.request
      ? i18n.t("app.notification.request")
      : i18n.t("app.notification.message", { count: event.ids.length });
    if (telling === "announce") {
      ports.announce(body);
      return;
    }
    const notice = { title: i18n.t("app.notification.title"), body, tag: event.chat };
    ports.show(notice, () => {
      router.go(
        event.request ? { at: "requests" } : { at: "chat", identity: event.chat, message: null },
      );
    });
  });
}

/** The ports of a real page. */
export function browserPorts(page: Window, announce: (text: string) => void): NoticePorts {
  return {
    announce,
    attention: () => {
      const now = new Date();
      return {
        focused: page.document.visibilityState === "visible" && page.document.hasFocus(),
        permission: notificationPermission(),
        minutesSinceMidnight: now.getHours() * 60 + now.getMinutes(),
      };
    },
    show: ({ title, body, tag }, onPress) => {
      try {
        const notification = new Notification(title, { body, tag, icon: "/icons/tace-192.png" });
        notification.onclick = () => {
          page.focus();
          onPress();
          notification.close();
        };
      } catch {
        // Some phones allow notifications by a service worker only; the badge in the title stays.
        return;
      }
    },
  };
}

export function notificationPermission(): NotificationPermission {
  return "Notification" in globalThis ? Notification.permission : "denied";
}
