import { useCallback, useEffect, useState } from "preact/hooks";
import { useEngine, useEngineEvents } from "../app/engine-context";
import { errorText } from "../app/error-text";
import { type I18n, useI18n } from "../app/i18n";
import { hrefOf } from "../app/route";
import { hostOf } from "../app/status-line";
import type { EngineEvent, NodeView, RingView } from "../engine/contract";
import { Badge, Banner, Button, Field, MenuButton, Screen, Spinner, useFeedback } from "../ui";
import "./network.css";
import { RingPicture } from "./ring-picture";
import { useCommand } from "./use-settings";

/** The nodes in use and how they are, and the ring that they are part of. */
export function Network() {
  const { t } = useI18n();
  const { calls } = useEngine();
  const [nodes, setNodes] = useState<NodeView[] | null>(null);
  const [ring, setRing] = useState<RingView | null | "none">(null);

  const load = useCallback(async () => {
    // Each by itself: nodes are known offline, too, the ring is not.
    await Promise.all([
      calls.nodes().then(setNodes, () => setNodes([])),
      calls.ring().then(setRing, () => setRing("none")),
    ]);
  }, [calls]);
  useEffect(() => void load(), [load]);
  const onEvent = useCallback(
    (event: EngineEvent) => {
      if (event.event === "failover") void load();
    },
    [load],
  );
  useEngineEvents(onEvent);

  return (
    <Screen
      title={t("settings.network.title")}
      back={{ href: hrefOf({ at: "chats" }), label: t("settings.back") }}
    >
      <section class="settings-group">
        <h2>{t("settings.network.nodes")}</h2>
        <p class="muted">{t("settings.network.nodes-text")}</p>
        {nodes ? <NodeList nodes={nodes} onChanged={load} /> : <Spinner label={t("app.loading")} />}
        <AddNode onAdded={load} />
      </section>
      <section class="settings-group">
        <h2>{t("settings.network.ring")}</h2>
        <p class="muted">{t("settings.network.ring-text")}</p>
        <Ring ring={ring} onAskAgain={load} />
      </section>
    </Screen>
  );
}

function NodeList({ nodes, onChanged }: { nodes: NodeView[]; onChanged: () => void }) {
  return (
    // biome-ignore lint/a11y/noRedundantRoles: without its marks Safari takes a list for none
    <ul role="list" class="network-nodes">
      {nodes.map((node) => (
        <NodeRow key={node.origin} node={node} onChanged={onChanged} />
      ))}
    </ul>
  );
}

function NodeRow({ node, onChanged }: { node: NodeView; onChanged: () => void }) {
  const i18n = useI18n();
  const { t, dates } = i18n;
  const { calls } = useEngine();
  const { run } = useCommand();
  const host = hostOf(node.origin);
  const items = [];
  if (!node.inbox) {
    items.push({
      label: t("settings.network.use"),
      icon: "check" as const,
      onSelect: () =>
        void run(
          () => calls.useNode(node.origin),
          t("settings.network.now-using", { node: host }),
        ).then(onChanged),
    });
  }
  if (node.source !== "here") {
    items.push({
      label: t("settings.network.remove"),
      icon: "trash" as const,
      danger: true,
      onSelect: () => void run(() => calls.removeNode(node.origin)).then(onChanged),
    });
  }
  const facts = [
    t(`settings.network.source-${node.source}`),
    node.roundTripMs === null ? "" : t("settings.network.round-trip", { ms: node.roundTripMs }),
    node.lastSeenMs === null || node.health === "good"
      ? ""
      : t("settings.network.seen", { when: dates.relative(node.lastSeenMs, Date.now()) }),
    node.software,
  ].filter((fact) => fact !== "");
  return (
    <li class="network-node">
      <HealthSign health={node.health} />
      <div class="network-node-text">
        <p class="network-node-name">
          <bdi>{host}</bdi>
          {node.inbox ? <Badge tone="accent">{t("settings.network.inbox")}</Badge> : null}
          {node.outbox ? <Badge>{t("settings.network.outbox")}</Badge> : null}
        </p>
        <p class="network-node-facts">
          {t(`settings.network.health-${node.health}`)}
          {facts.map((fact) => (
            <span key={fact}>
              {" · "}
              <bdi>{fact}</bdi>
            </span>
          ))}
        </p>
        {node.lastFailure === null ? null : (
          <p class="network-node-facts" dir="auto">
            {failureText(i18n, node.lastFailure)}
          </p>
        )}
      </div>
      {items.length > 0 ? (
        <MenuButton
          icon="more"
          label={t("settings.network.options", { node: host })}
          items={items}
        />
      ) : null}
    </li>
  );
}

/** A failure's code in words where there are some; else as the node said it. */
function failureText(i18n: I18n, code: string): string {
  const text = i18n.orElse(`errors.${code}`, "errors.unknown");
  return text === i18n.t("errors.unknown") ? code : text;
}

/** Disc, half disc, cross, ring: read without colour; the words stand beside it. */
function HealthSign({ health }: { health: NodeView["health"] }) {
  return (
    <svg class={`network-health network-health-${health}`} viewBox="0 0 16 16" aria-hidden="true">
      {health === "failing" ? <path d="M4 4l8 8M12 4l-8 8" /> : <circle cx="8" cy="8" r="5.5" />}
      {health === "slow" ? (
        <path class="network-health-half" d="M8 2.5a5.5 5.5 0 0 0 0 11z" />
      ) : null}
    </svg>
  );
}

function AddNode({ onAdded }: { onAdded: () => void }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const feedback = useFeedback();
  const [origin, setOrigin] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const add = async (event: Event) => {
    event.preventDefault();
    if (busy || origin.trim() === "") return;
    setBusy(true);
    try {
      await calls.addNode(withScheme(origin.trim()));
      feedback.show(t("settings.network.added", { node: hostOf(origin.trim()) }), { tone: "good" });
      setOrigin("");
      onAdded();
    } catch (refusal) {
      setError(errorText(i18n, refusal));
    }
    setBusy(false);
  };
  return (
    <form class="network-add" onSubmit={add} noValidate>
      <h3>{t("settings.network.add")}</h3>
      <Field
        type="url"
        label={t("settings.network.address")}
        hint={t("settings.network.address-hint")}
        placeholder="https://"
        value={origin}
        onInput={(value) => {
          setOrigin(value);
          setError(null);
        }}
        error={error}
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
        dir="ltr"
      />
      <div class="settings-row">
        <Button type="submit" icon="add" busy={busy}>
          {t("settings.network.add-go")}
        </Button>
      </div>
    </form>
  );
}

/** People write addresses without their beginning. */
export function withScheme(address: string): string {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(address) ? address : `https://${address}`;
}

function Ring({ ring, onAskAgain }: { ring: RingView | null | "none"; onAskAgain: () => void }) {
  const { t, dates } = useI18n();
  if (ring === null) return <Spinner label={t("app.loading")} />;
  if (ring === "none") {
    return (
      <Banner
        icon="info"
        action={<Button onClick={onAskAgain}>{t("settings.network.refresh")}</Button>}
      >
        {t("settings.network.no-ring")}
      </Banner>
    );
  }
  return (
    <>
      <RingPicture ring={ring} />
      <p class="muted network-ring-facts">
        {t("settings.network.items", { count: ring.items })}, {dates.bytes(ring.bytes)}{" "}
        {t("settings.network.here")} · {t("settings.network.state", { state: ring.state })}
      </p>
    </>
  );
}
