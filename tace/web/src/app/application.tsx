import { useState } from "preact/hooks";
import { type Feedback, FeedbackProvider, FeedbackRegion } from "../ui";
import "./application.css";
import { EngineProvider, type LiveEngine, useEngine } from "./engine-context";
import { type I18n, I18nProvider, useI18n } from "./i18n";
import { lazy } from "./lazy";
import { type PageParts, PageProvider } from "./page-context";
import { type Preferences, PreferencesProvider } from "./preferences";
import { type Router, RouterProvider } from "./route";
import { Shell } from "./shell";

const Start = lazy(async () => (await import("./start")).Start);
const Blocked = lazy(async () => (await import("./blocked")).Blocked);
const Replaced = lazy(async () => (await import("./replaced")).Replaced);

export interface ApplicationProps extends PageParts {
  engine: LiveEngine;
  i18n: I18n;
  router: Router;
  preferences: Preferences;
  feedback: Feedback;
}

export function Application(props: ApplicationProps) {
  const { engine, i18n, router, preferences, feedback, releases, installation } = props;
  return (
    <I18nProvider value={i18n}>
      <PreferencesProvider value={preferences}>
        <FeedbackProvider value={feedback}>
          <RouterProvider value={router}>
            <EngineProvider value={engine}>
              <PageProvider value={{ releases, installation }}>
                <ByPhase />
                <FeedbackRegion closeLabel={i18n.t("app.close")} />
              </PageProvider>
            </EngineProvider>
          </RouterProvider>
        </FeedbackProvider>
      </PreferencesProvider>
    </I18nProvider>
  );
}

function ByPhase() {
  const { t } = useI18n();
  const { phase } = useEngine().state.value;
  // Who starts just now is shown the code at once; who comes back sees the banner.
  const [begins, setBegins] = useState(false);
  if (phase.at === "new" && !begins) setBegins(true);
  switch (phase.at) {
    case "loading":
      return (
        <main class="application-loading">
          <h1 class="visually-hidden">{t("app.loading")}</h1>
        </main>
      );
    case "new":
      return <Start />;
    case "blocked":
      return <Blocked why={phase.why} />;
    case "replaced":
      return <Replaced />;
    case "ready":
      return <Shell showsCode={begins} />;
  }
}
