import { useState } from "preact/hooks";
import { Banner, Button } from "../ui";
import { useEngine } from "./engine-context";
import { errorText } from "./error-text";
import { useI18n } from "./i18n";
import { ExportContents, type Opened, SealedFile } from "./sealed-file";

/** Everything of another browser, from its export file. */
export function ImportExport({ onBack }: { onBack: () => void }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const [opened, setOpened] = useState<Opened | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  const take = async () => {
    if (!opened) return;
    setBusy(true);
    try {
      await calls.importAll(opened.file, opened.code);
    } catch (refusal) {
      setError(errorText(i18n, refusal));
      setBusy(false);
    }
  };

  return (
    <>
      <h1>{t("app.import.title")}</h1>
      <p>{t("app.import.text")}</p>
      {opened ? (
        <div class="plain-page-form">
          <ExportContents report={opened.report} />
          <Banner tone="warn" icon="device">
            {t("app.restore.once")}
          </Banner>
          {error ? (
            <Banner tone="danger" icon="warning">
              {error}
            </Banner>
          ) : null}
          <Button variant="primary" busy={busy} wide onClick={take}>
            {t("app.import.go")}
          </Button>
        </div>
      ) : (
        <SealedFile onOpened={setOpened} />
      )}
      <Button variant="quiet" onClick={onBack}>
        {t("app.back")}
      </Button>
    </>
  );
}
