/** The start of the page: everything that lives as long as it does is made here. */

import { effect } from "@preact/signals";
import { render } from "preact";
import type { Engine } from "../engine/contract";
import { openEngine } from "../engine/remote";
import { Feedback } from "../ui";
import "../ui/tokens.css";
import "../ui/base.css";
import { Application } from "./application";
import { LiveEngine } from "./engine-context";
import { I18n } from "./i18n";
import { Installation } from "./install";
import { browserPorts, tellOfArrivals } from "./notifications";
import { keepTitle } from "./page-title";
import { Preferences } from "./preferences";
import { Router } from "./route";
import { Releases } from "./service-worker";

async function start(): Promise<void> {
  const root = document.getElementById("root");
  if (!root) throw new Error("index.html has no #root");

  const preferences = new Preferences(storageOf(window), navigator.languages);
  preferences.applyTheme(document.documentElement);

  const i18n = new I18n();
  // A language that does not load (an update, offline) leaves the last one.
  effect(() => void i18n.use(preferences.languageInUse).catch(() => undefined));
  effect(() => {
    document.documentElement.lang = i18n.language.locale;
    document.documentElement.dir = i18n.language.direction;
  });

  const feedback = new Feedback();
  const router = new Router(window);
  const engine = new LiveEngine(await chooseEngine());
  const releases = new Releases(navigator.serviceWorker, () => location.reload());
  const installation = new Installation(window);
  tellOfArrivals(
    engine,
    i18n,
    router,
    browserPorts(window, (text) => feedback.announce(text)),
  );
  keepTitle(document, engine, i18n);

  render(
    <Application {...{ engine, i18n, router, preferences, feedback, releases, installation }} />,
    root,
  );

  if (import.meta.env.PROD) {
    // Not to be had in some private windows; then the page needs its node to load.
    await releases.register("/sw.js").catch(() => undefined);
  }
}

/** Made-up data for work on the page, in a development server only. */
async function chooseEngine(): Promise<Engine> {
  if (import.meta.env.DEV) {
    const sample = new URLSearchParams(location.search).get("sample");
    if (sample !== null) return (await import("./sample-engine")).sampleEngineFor(sample);
  }
  return openEngine();
}

function storageOf(page: Window): Storage | null {
  try {
    return page.localStorage;
  } catch {
    return null;
  }
}

void start();
