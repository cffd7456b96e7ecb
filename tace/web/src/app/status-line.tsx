import { useEffect, useState } from "preact/hooks";
import type { ConnectionState } from "../engine/contract";
import { Banner, Button } from "../ui";
import { useEngine } from "./engine-context";
import { useI18n } from "./i18n";
import { hrefOf } from "./route";
import "./status-line.css";

/** "Connected · node", by a shape and a word; leads to the network panel. */
export function StatusLine() {
  const { t } = useI18n();
  const { connection, waiting } = useEngine().state.value;
  const node = connection.at === "offline" ? null : connection.node;
  const look = lookOf(connection);
  return (
    <a class="status-line" href={hrefOf({ at: "network" })}>
      <Sign look={look} />
      <span class="status-line-word">{t(`app.status.${look}`)}</span>
      {waiting > 0 ? (
        <span class="status-line-detail">{t("app.status.waiting", { count: waiting })}</span>
      ) : node ? (
        <bdi class="status-line-detail">{hostOf(node)}</bdi>
      ) : null}
    </a>
  );
}

/** Over everything while there is no connection: why, when it is tried again, and "now". */
export function OfflineNotice() {
  const { t } = useI18n();
  const engine = useEngine();
  const { connection } = engine.state.value;
  if (connection.at !== "offline") return null;
  const { why, retryAtMs } = connection;
  return (
    <div class="offline-notice" role="status">
      <Banner
        tone="warn"
        icon="warning"
        action={
          why === "network" ? null : (
            <Button variant="quiet" onClick={() => void engine.calls.connectNow().catch(() => {})}>
              {t("app.status.try-now")}
            </Button>
          )
        }
      >
        <strong>{t("app.status.offline")}</strong> {t(`app.status.offline-${why}`)}{" "}
        {retryAtMs === null ? null : <Countdown untilMs={retryAtMs} />}
      </Banner>
    </div>
  );
}

/** Hidden from screen readers: a time that ticks would be read again and again. */
function Countdown({ untilMs }: { untilMs: number }) {
  const { t } = useI18n();
  const [nowMs, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000);
    return () => clearInterval(timer);
  }, []);
  const seconds = Math.ceil((untilMs - nowMs) / 1_000);
  if (seconds <= 0) return null;
  return (
    <span class="offline-notice-time" aria-hidden="true">
      {t("app.status.next-try", { count: seconds })}
    </span>
  );
}

type Look = "connected" | "polling" | "connecting" | "offline";

function lookOf(connection: ConnectionState): Look {
  return connection.at === "connected" && connection.via === "polling" ? "polling" : connection.at;
}

/** Full, half, dotted, empty: told apart without colour. */
function Sign({ look }: { look: Look }) {
  return (
    <svg class={`status-sign status-sign-${look}`} viewBox="0 0 16 16" aria-hidden="true">
      <circle cx="8" cy="8" r="5.5" />
      {look === "polling" ? <path d="M8 2.5a5.5 5.5 0 0 0 0 11z" /> : null}
      {look === "offline" ? <path d="M4 12 12 4" /> : null}
    </svg>
  );
}

/** https://node.example:8443 as node.example:8443 */
export function hostOf(origin: string): string {
  return origin.replace(/^[a-z]+:\/\//, "");
}
