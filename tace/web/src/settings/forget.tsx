import { useState } from "preact/hooks";
import { useEngine } from "../app/engine-context";
import { useI18n } from "../app/i18n";
import { tidyName } from "../app/nickname";
import { Banner, Button, Field } from "../ui";
import { useCommand } from "./use-settings";

export function Forget() {
  const { t } = useI18n();
  const engine = useEngine();
  const { busy, run } = useCommand();
  const [typed, setTyped] = useState("");
  const { me, backup } = engine.state.value;
  const agreed = me !== null && tidyName(typed) === me.name;
  const forget = (event: Event) => {
    event.preventDefault();
    if (agreed && !busy) void run(() => engine.calls.forget());
  };
  return (
    <form class="settings-group" onSubmit={forget}>
      <p>{t("settings.forget.text")}</p>
      {backup.codeSaved ? null : (
        <Banner tone="danger" icon="warning">
          {t("settings.forget.without-code")}
        </Banner>
      )}
      {backup.lastExportMs === null ? (
        <Banner tone="warn" icon="warning">
          {t("settings.forget.without-export")}
        </Banner>
      ) : null}
      <Field
        label={t("settings.forget.confirm")}
        hint={<bdi>{me?.name}</bdi>}
        value={typed}
        onInput={setTyped}
        autocomplete="off"
        dir="auto"
      />
      <div class="settings-row">
        <Button type="submit" variant="danger" icon="trash" busy={busy} disabled={!agreed}>
          {t("settings.forget.go")}
        </Button>
      </div>
    </form>
  );
}
