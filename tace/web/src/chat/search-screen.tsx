import { useEffect, useState } from "preact/hooks";
import { useEngine } from "../app/engine-context";
import { useI18n } from "../app/i18n";
import { hrefOf } from "../app/route";
import type { SearchRequest, SearchResult } from "../engine/contract";
import { Avatar, EmptyState, Field, Screen, Select, Toggle } from "../ui";
import { harmlessExcerpt, harmlessName } from "./harmless";
import { Marked } from "./marked";
import "./search-screen.css";

const AFTER_MS = 20;
const MOST_HITS = 100;
const DAY_MS = 86_400_000;

interface Filters {
  text: string;
  chat: string;
  since: string;
  until: string;
  filesOnly: boolean;
}

const NONE: Filters = { text: "", chat: "", since: "", until: "", filesOnly: false };

/** Search over everything that is in this browser. */
export function SearchScreen() {
  const { t, dates } = useI18n();
  const engine = useEngine();
  const [filters, setFilters] = useState(NONE);
  const [result, setResult] = useState<SearchResult | null>(null);
  const set = (change: Partial<Filters>) => setFilters({ ...filters, ...change });

  useEffect(() => {
    let current = true;
    const timer = setTimeout(() => {
      const request = requestOf(filters);
      if (!request) {
        setResult(null);
        return;
      }
      engine.calls.search(request).then(
        (found) => current && setResult(found),
        () => current && setResult({ total: 0, hits: [] }),
      );
    }, AFTER_MS);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [filters, engine]);

  const people = (engine.chats.value ?? []).filter((chat) => chat.standing === "contact");
  return (
    <Screen
      title={t("chat.search.title")}
      back={{ href: hrefOf({ at: "chats" }), label: t("app.back") }}
    >
      <search class="search-form">
        <Field
          type="search"
          label={t("chat.search.text")}
          value={filters.text}
          onInput={(text) => set({ text })}
          autocomplete="off"
          dir="auto"
        />
        <div class="search-filters">
          <Select
            label={t("chat.search.person")}
            value={filters.chat}
            onChange={(chat) => set({ chat })}
            options={[
              { value: "", label: t("chat.search.anybody") },
              ...people.map((chat) => ({ value: chat.identity, label: harmlessName(chat.title) })),
            ]}
          />
          <Field
            type="date"
            label={t("chat.search.since")}
            value={filters.since}
            onInput={(since) => set({ since })}
          />
          <Field
            type="date"
            label={t("chat.search.until")}
            value={filters.until}
            onInput={(until) => set({ until })}
          />
        </div>
        <Toggle
          label={t("chat.search.files")}
          checked={filters.filesOnly}
          onChange={(filesOnly) => set({ filesOnly })}
        />
      </search>
      <p class="search-count" role="status">
        {result ? t("chat.search.count", { count: result.total }) : ""}
      </p>
      {result === null ? (
        <EmptyState icon="search" title={t("chat.search.start")}>
          <p>{t("chat.search.start-text")}</p>
        </EmptyState>
      ) : result.total === 0 ? (
        <EmptyState icon="search" title={t("chat.search.none")}>
          <p>{t("chat.search.none-text")}</p>
        </EmptyState>
      ) : (
        <>
          {/* biome-ignore lint/a11y/noRedundantRoles: without its marks Safari takes a list for none */}
          <ol role="list" class="search-hits">
            {result.hits.map((hit) => (
              <li key={hit.id}>
                <a
                  class="search-hit"
                  href={hrefOf({ at: "chat", identity: hit.chat, message: hit.id })}
                >
                  <Avatar identity={hit.chat} name={harmlessName(hit.title)} />
                  <span class="search-hit-body">
                    <span class="search-hit-head">
                      <bdi>{harmlessName(hit.title)}</bdi>
                      <time dateTime={new Date(hit.sentMs).toISOString()}>
                        {dates.short(hit.sentMs, Date.now())}
                      </time>
                    </span>
                    <span class="search-hit-text">
                      {hit.mine ? <span class="muted">{t("chat.message.you")}: </span> : null}
                      <bdi>
                        <Marked {...harmlessExcerpt(hit.text, hit.marks)} />
                      </bdi>
                    </span>
                  </span>
                </a>
              </li>
            ))}
          </ol>
          {result.hits.length < result.total ? (
            <p class="muted">{t("chat.search.shown", { shown: result.hits.length })}</p>
          ) : null}
        </>
      )}
    </Screen>
  );
}

/** null where there is nothing to look for. */
function requestOf(filters: Filters): SearchRequest | null {
  const text = filters.text.trim();
  const since = dayStart(filters.since);
  const until = dayStart(filters.until);
  if (!text && !filters.chat && since === null && until === null && !filters.filesOnly) return null;
  return {
    text,
    limit: MOST_HITS,
    ...(filters.chat ? { chat: filters.chat } : {}),
    ...(since === null ? {} : { sinceMs: since }),
    ...(until === null ? {} : { untilMs: until + DAY_MS - 1 }),
    ...(filters.filesOnly ? { filesOnly: true } : {}),
  };
}

/** Midnight, local time, of a date field's value. */
function dayStart(value: string): number | null {
  const ms = value ? new Date(`${value}T00:00`).getTime() : Number.NaN;
  return Number.isNaN(ms) ? null : ms;
}
