import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { EngineEvent } from "../engine/contract";
import { Avatar, Banner, Button, EmptyState, IconLink, LinkButton, useFeedback } from "../ui";
import { useEngine, useEngineEvents } from "./engine-context";
import { useI18n } from "./i18n";
import { lazy } from "./lazy";
import { usePage } from "./page-context";
import { chatOf, hrefOf, type Route, useRouter } from "./route";
import "./shell.css";
import { neighbour, type ShortcutAction, shortcutFor } from "./shortcuts";
import { hostOf, OfflineNotice, StatusLine } from "./status-line";

const ChatList = lazy(async () => (await import("../chat")).ChatList);
const Conversation = lazy(async () => (await import("../chat")).Conversation);
const SearchScreen = lazy(async () => (await import("../chat")).SearchScreen);
const AddContact = lazy(async () => (await import("../contacts")).AddContact);
const Requests = lazy(async () => (await import("../contacts")).Requests);
const Person = lazy(async () => (await import("../contacts")).Person);
const RecoveryCodeDialog = lazy(async () => (await import("./recovery-code")).RecoveryCodeDialog);

/** @param showsCode the recovery code is shown at once, as after a first start. */
export function Shell({ showsCode }: { showsCode: boolean }) {
  const { t } = useI18n();
  const { route } = useRouter();
  const content = useRef<HTMLElement>(null);
  const { codeSaved } = useEngine().state.value.backup;
  const [codeOpen, setCodeOpen] = useState(showsCode && !codeSaved);
  const here = route.value;
  useShortcuts();
  useFailoverNotice();
  useFocusOnContent(here, content);
  useEffect(() => {
    // What the dialog was opened from is gone when the code was saved.
    if (!codeOpen && document.activeElement === document.body) content.current?.focus();
  }, [codeOpen]);

  return (
    <div class={here.at === "chats" ? "shell" : "shell shell-in-content"}>
      <header class="shell-notices">
        <a
          class="shell-skip visually-hidden"
          href={hrefOf(here)}
          onClick={(event) => {
            event.preventDefault();
            content.current?.focus();
          }}
        >
          {t("app.skip-to-content")}
        </a>
        <OfflineNotice />
        <ReleaseNotice />
        {codeSaved ? null : (
          <div class="shell-code-notice">
            <Banner
              tone="accent"
              icon="key"
              action={
                <Button variant="secondary" onClick={() => setCodeOpen(true)}>
                  {t("app.code.open")}
                </Button>
              }
            >
              {t("app.code.banner")}
            </Banner>
          </div>
        )}
      </header>
      <main class="shell-panes">
        <nav class="shell-list" aria-label={t("app.nav.chats")}>
          <ListHead here={here} />
          <div class="shell-list-body">
            <ChatList />
          </div>
          <StatusLine />
        </nav>
        <section
          ref={content}
          class="shell-content"
          tabIndex={-1}
          aria-label={t("app.nav.content")}
        >
          <Content route={here} />
        </section>
      </main>
      {codeOpen ? <RecoveryCodeDialog onClose={() => setCodeOpen(false)} /> : null}
    </div>
  );
}

function ListHead({ here }: { here: Route }) {
  const { t } = useI18n();
  const { me } = useEngine().state.value;
  return (
    <header class="shell-head">
      {me ? (
        <a
          class="shell-me"
          href={hrefOf({ at: "settings", section: "profile" })}
          aria-label={t("app.nav.me", { name: me.name })}
        >
          <Avatar identity={me.identity} name={me.name} />
        </a>
      ) : null}
      <h1 class="shell-title">{t("app.nav.chats")}</h1>
      <IconLink
        href={hrefOf({ at: "search" })}
        icon="search"
        label={t("app.nav.search")}
        current={here.at === "search"}
      />
      <IconLink
        href={hrefOf({ at: "add", code: null })}
        icon="add"
        label={t("app.nav.add")}
        current={here.at === "add"}
      />
      <IconLink
        href={hrefOf({ at: "settings", section: null })}
        icon="settings"
        label={t("app.nav.settings")}
        current={here.at === "settings"}
      />
    </header>
  );
}

function Content({ route }: { route: Route }): ComponentChildren {
  switch (route.at) {
    case "chats":
      return <Welcome />;
    case "chat":
      return (
        <Conversation key={route.identity} identity={route.identity} message={route.message} />
      );
    case "requests":
      return <Requests />;
    case "add":
      return <AddContact key={route.code} code={route.code} />;
    case "person":
      return <Person key={route.identity} identity={route.identity} />;
    case "search":
      return <SearchScreen />;
    case "settings":
      return <Settings section={route.section} />;
    case "network":
      return <Network />;
  }
}

function Welcome() {
  const { t } = useI18n();
  return (
    <EmptyState
      icon="chat"
      title={t("app.welcome.title")}
      action={
        <LinkButton href={hrefOf({ at: "add", code: null })} icon="add">
          {t("app.nav.add")}
        </LinkButton>
      }
    >
      <p>{t("app.welcome.text")}</p>
    </EmptyState>
  );
}

function Settings(props: { section: Extract<Route, { at: "settings" }>["section"] }) {
  const i18n = useI18n();
  const [Screen] = useState(() =>
    lazy<typeof props>(async () => {
      const [screens] = await Promise.all([import("../settings"), i18n.need("settings")]);
      return screens.Settings;
    }),
  );
  return <Screen {...props} />;
}

function Network() {
  const i18n = useI18n();
  const [Screen] = useState(() =>
    lazy(async () => {
      const [screens] = await Promise.all([import("../settings"), i18n.need("settings")]);
      return screens.Network;
    }),
  );
  return <Screen />;
}

function ReleaseNotice() {
  const { t } = useI18n();
  const { releases } = usePage();
  if (!releases.isWaiting.value) return null;
  return (
    <div class="shell-release-notice" role="status">
      <Banner
        icon="download"
        action={<Button onClick={() => releases.useNew()}>{t("app.update.action")}</Button>}
      >
        {t("app.update.text")}
      </Banner>
    </div>
  );
}

function useFailoverNotice(): void {
  const i18n = useI18n();
  const feedback = useFeedback();
  const [listener] = useState(() => (event: EngineEvent) => {
    if (event.event !== "failover") return;
    const places = { from: hostOf(event.from), to: hostOf(event.to) };
    feedback.show(i18n.t("app.status.failover", places));
  });
  useEngineEvents(listener);
}

/** A new place takes the focus where the old one had it and is gone, so that nobody is lost. */
function useFocusOnContent(route: Route, content: { current: HTMLElement | null }): void {
  const place = hrefOf(route);
  const [first, setFirst] = useState(place);
  useEffect(() => {
    if (place === first) return;
    setFirst("");
    const focused = document.activeElement;
    const lost =
      focused === null ||
      focused === document.body ||
      (focused instanceof HTMLElement && focused.offsetParent === null);
    if (lost && route.at !== "chats") content.current?.focus();
  }, [place]);
}

function useShortcuts(): void {
  const router = useRouter();
  const engine = useEngine();
  useEffect(() => {
    const step = (by: 1 | -1) => {
      const list = (engine.chats.value ?? [])
        .filter((chat) => chat.standing === "contact" && !chat.archived)
        .map((chat) => chat.identity);
      const identity = neighbour(list, chatOf(router.route.value), by);
      if (identity) router.go({ at: "chat", identity, message: null });
    };
    const actions: Record<ShortcutAction, () => void> = {
      search: () => router.go({ at: "search" }),
      add: () => router.go({ at: "add", code: null }),
      settings: () => router.go({ at: "settings", section: null }),
      help: () => router.go({ at: "settings", section: "shortcuts" }),
      "next-chat": () => step(1),
      "previous-chat": () => step(-1),
      "next-pane": nextPane,
      back: () => router.route.value.at !== "chats" && router.go({ at: "chats" }),
    };
    const onKeyDown = (event: KeyboardEvent) => {
      const action = event.defaultPrevented ? null : shortcutFor(event);
      // In a dialog Escape closes it and nothing else works.
      if (!action || document.querySelector("dialog[open], [role=menu]")) return;
      event.preventDefault();
      actions[action]();
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, [router, engine]);
}

function nextPane(): void {
  const inList = document.activeElement?.closest(".shell-list");
  const target = inList
    ? document.querySelector<HTMLElement>(".shell-content")
    : (document.querySelector<HTMLElement>(".shell-list [aria-current]") ??
      document.querySelector<HTMLElement>(".shell-list a"));
  target?.focus();
}
