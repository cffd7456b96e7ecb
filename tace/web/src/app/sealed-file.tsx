import { useState } from "preact/hooks";
import type { ImportReport } from "../engine/contract";
import { Button, Field, FileButton } from "../ui";
import { useEngine } from "./engine-context";
import { errorText } from "./error-text";
import { fileBytes, MAX_EXPORT_BYTES } from "./file-bytes";
import { useI18n } from "./i18n";
import "./sealed-file.css";

/** An export that was opened. */
export interface Opened {
  file: Uint8Array;
  code: string;
  report: ImportReport;
}

/** Asks for an export file and its recovery code, and says what is in it without taking it over. */
export function SealedFile({ onOpened }: { onOpened: (opened: Opened) => void }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const [file, setFile] = useState<File | null>(null);
  const [code, setCode] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  const look = async (event: Event) => {
    event.preventDefault();
    if (busy || !file) return;
    setBusy(true);
    try {
      const bytes = await fileBytes(file, MAX_EXPORT_BYTES);
      const report = await calls.inspectExport(bytes, code.trim());
      onOpened({ file: bytes, code: code.trim(), report });
    } catch (refusal) {
      setError(errorText(i18n, refusal));
    }
    setBusy(false);
  };

  return (
    <form class="sealed-file" onSubmit={look} noValidate>
      <FileButton
        accept=".tace,application/octet-stream"
        wide
        onFile={(chosen) => {
          setFile(chosen);
          setError(null);
        }}
      >
        {file ? <bdi>{file.name}</bdi> : t("app.import.choose")}
      </FileButton>
      <Field
        label={t("app.restore.code")}
        hint={t("app.restore.code-hint")}
        value={code}
        onInput={(value) => {
          setCode(value);
          setError(null);
        }}
        error={error}
        autocomplete="off"
        autocapitalize="characters"
        spellcheck={false}
        dir="ltr"
      />
      <Button type="submit" variant="primary" busy={busy} disabled={!file} wide>
        {t("app.import.look")}
      </Button>
    </form>
  );
}

/** "4 contacts, 120 messages, made on …" */
export function ExportContents({ report }: { report: ImportReport }) {
  const { t, dates } = useI18n();
  return (
    <section class="sealed-file-contents">
      <h2>{t("app.import.contents")}</h2>
      <ul>
        <li>{t("app.import.contacts", { count: report.contacts })}</li>
        <li>{t("app.import.messages", { count: report.messages })}</li>
        <li>{t("app.import.made", { date: dates.dateTime(report.madeMs) })}</li>
      </ul>
    </section>
  );
}
