import { type ComponentType, createElement } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Button, EmptyState, Spinner } from "../ui";
import { useI18n } from "./i18n";
import "./lazy.css";

/**
 * A component that is loaded when it is first drawn. Where loading fails (the node is gone and
 * nothing is cached) it says so and can be tried again.
 */
export function lazy<Props extends object>(
  load: () => Promise<ComponentType<Props>>,
): ComponentType<Props> {
  let loaded: ComponentType<Props> | null = null;
  return function Lazy(props: Props) {
    const { t } = useI18n();
    const [state, setState] = useState<"loading" | "ready" | "failed">(
      loaded ? "ready" : "loading",
    );
    useEffect(() => {
      if (state !== "loading") return;
      let wanted = true;
      load().then(
        (component) => {
          loaded = component;
          if (wanted) setState("ready");
        },
        () => wanted && setState("failed"),
      );
      return () => {
        wanted = false;
      };
    }, [state]);
    if (loaded) return createElement(loaded, props);
    if (state === "failed") {
      return (
        <EmptyState
          icon="warning"
          title={t("errors.unknown")}
          action={<Button onClick={() => setState("loading")}>{t("app.retry")}</Button>}
        />
      );
    }
    return (
      <div class="lazy-waiting">
        <Spinner size="l" label={t("app.loading")} />
      </div>
    );
  };
}
