import { useState } from "preact/hooks";
import { Banner, Button, Field } from "../ui";
import { useEngine } from "./engine-context";
import { errorText } from "./error-text";
import { useI18n } from "./i18n";
import { nameProblem, tidyName } from "./nickname";

/** The same identity from the recovery code alone. */
export function Restore({ onBack }: { onBack: () => void }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const [code, setCode] = useState("");
  const [name, setName] = useState("");
  const [problem, setProblem] = useState<{ of: "code" | "name"; text: string } | null>(null);
  const [busy, setBusy] = useState(false);

  const restore = async (event: Event) => {
    event.preventDefault();
    if (busy) return;
    const badName = nameProblem(name);
    if (badName) {
      setProblem({ of: "name", text: t(`app.start.name-${badName}`) });
      return;
    }
    setBusy(true);
    try {
      await calls.restore(code.trim(), tidyName(name));
    } catch (refusal) {
      setProblem({ of: "code", text: errorText(i18n, refusal) });
      setBusy(false);
    }
  };

  return (
    <>
      <h1>{t("app.restore.title")}</h1>
      <p>{t("app.restore.text")}</p>
      <form class="plain-page-form" onSubmit={restore} noValidate>
        <Field
          label={t("app.restore.code")}
          hint={t("app.restore.code-hint")}
          value={code}
          onInput={(value) => {
            setCode(value);
            setProblem(null);
          }}
          error={problem?.of === "code" ? problem.text : null}
          autocomplete="off"
          autocapitalize="characters"
          spellcheck={false}
          dir="ltr"
        />
        <Field
          label={t("app.start.name")}
          value={name}
          onInput={(value) => {
            setName(value);
            setProblem(null);
          }}
          error={problem?.of === "name" ? problem.text : null}
          autocomplete="nickname"
          dir="auto"
        />
        <Banner tone="warn" icon="device">
          {t("app.restore.once")}
        </Banner>
        <Button type="submit" variant="primary" busy={busy} wide>
          {t("app.restore.go")}
        </Button>
        <Button variant="quiet" onClick={onBack}>
          {t("app.back")}
        </Button>
      </form>
    </>
  );
}
