import { useState } from "preact/hooks";
import { Banner, Button, Field } from "../ui";
import { useEngine } from "./engine-context";
import { errorText } from "./error-text";
import { useI18n } from "./i18n";
import { ImportExport } from "./import-export";
import { nameProblem, tidyName } from "./nickname";
import { PlainPage } from "./plain-page";
import { Restore } from "./restore";
import { useRouter } from "./route";

/** The first screen of a new browser: a name and nothing else, or the way back of an old one. */
export function Start() {
  const [way, setWay] = useState<"new" | "code" | "export">("new");
  const back = () => setWay("new");
  return (
    <PlainPage>
      {way === "new" ? <New onWay={setWay} /> : null}
      {way === "code" ? <Restore onBack={back} /> : null}
      {way === "export" ? <ImportExport onBack={back} /> : null}
    </PlainPage>
  );
}

function New({ onWay }: { onWay: (way: "code" | "export") => void }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const { route } = useRouter();
  const [name, setName] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  const start = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    const problem = nameProblem(name);
    if (problem) {
      setError(t(`app.start.name-${problem}`));
      return;
    }
    setBusy(true);
    try {
      await calls.create(tidyName(name));
    } catch (refusal) {
      setError(errorText(i18n, refusal));
      setBusy(false);
    }
  };

  return (
    <>
      <div>
        <p class="start-tagline">{t("app.tagline")}</p>
      </div>
      {route.value.at === "add" && route.value.code ? (
        <Banner tone="accent" icon="person">
          {t("app.start.invited")}
        </Banner>
      ) : null}
      <h1>{t("app.start.title")}</h1>
      <form class="plain-page-form" onSubmit={start} noValidate>
        <Field
          label={t("app.start.name")}
          hint={t("app.start.name-hint")}
          value={name}
          onInput={(value) => {
            setName(value);
            setError(null);
          }}
          error={error}
          autocomplete="nickname"
          dir="auto"
          autofocus
        />
        <Button type="submit" variant="primary" busy={busy} wide>
          {t("app.start.go")}
        </Button>
        <p class="muted start-keys">{t("app.start.keys")}</p>
      </form>
      <div class="plain-page-other">
        <h2 class="start-other">{t("app.start.other")}</h2>
        <Button variant="quiet" icon="key" onClick={() => onWay("code")}>
          {t("app.start.have-code")}
        </Button>
        <Button variant="quiet" icon="upload" onClick={() => onWay("export")}>
          {t("app.start.have-export")}
        </Button>
      </div>
    </>
  );
}
