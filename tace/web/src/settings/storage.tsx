import { useState } from "preact/hooks";
import { useEngine } from "../app/engine-context";
import { fileBytes } from "../app/file-bytes";
import { useI18n } from "../app/i18n";
import { dayStamp, saveFile } from "../app/save-file";
import { ExportContents, type Opened, SealedFile } from "../app/sealed-file";
import { Banner, Button, Field, FileButton, Progress, useFeedback } from "../ui";
import { MAX_CONTACTS_BYTES, readContacts, writeContacts } from "./contacts-file";
import { useCommand } from "./use-settings";

const WEEK_MS = 7 * 24 * 60 * 60 * 1_000;

export function Storage() {
  return (
    <>
      <Persistence />
      <Export />
      <TestRestore />
      <RecoveryCodeCheck />
      <Contacts />
    </>
  );
}

function Persistence() {
  const { t, dates } = useI18n();
  const engine = useEngine();
  const feedback = useFeedback();
  const { busy, run } = useCommand();
  const { persistent, usedBytes, quotaBytes } = engine.state.value.storage;
  const ask = () =>
    run(async () => {
      if (!(await engine.calls.askPersistence())) feedback.show(t("settings.storage.refused"));
    });
  const words = persistent ? "kept" : persistent === null ? "not-asked" : "not-kept";
  return (
    <section class="settings-group">
      <Banner
        tone={persistent ? "plain" : "warn"}
        icon={persistent ? "check" : "warning"}
        action={
          persistent ? null : (
            <Button busy={busy} onClick={ask}>
              {t("settings.storage.ask")}
            </Button>
          )
        }
      >
        {t(`settings.storage.${words}`)}
      </Banner>
      {usedBytes !== null && quotaBytes ? (
        <Usage
          label={t("settings.storage.used", {
            used: dates.bytes(usedBytes),
            quota: dates.bytes(quotaBytes),
          })}
          fraction={usedBytes / quotaBytes}
        />
      ) : null}
    </section>
  );
}

function Usage({ label, fraction }: { label: string; fraction: number }) {
  return (
    <div>
      <Progress value={fraction} label={label} />
      <p class="settings-usage">{label}</p>
    </div>
  );
}

function Export() {
  const { t, dates } = useI18n();
  const engine = useEngine();
  const { busy, run } = useCommand();
  const { lastExportMs } = engine.state.value.backup;
  const nowMs = Date.now();
  const make = () =>
    run(async () => {
      const bytes = await engine.calls.exportAll();
      const name = `tace-${dayStamp(Date.now())}.tace`;
      saveFile(name, "application/octet-stream", new Uint8Array(bytes));
    }, t("settings.storage.exported"));
  return (
    <section class="settings-group">
      <h2>{t("settings.storage.export")}</h2>
      <p>{t("settings.storage.export-text")}</p>
      {lastExportMs !== null && nowMs - lastExportMs > WEEK_MS ? (
        <Banner tone="warn" icon="warning">
          {t("settings.storage.old")}
        </Banner>
      ) : null}
      <div class="settings-row">
        <Button variant="primary" icon="download" busy={busy} onClick={make}>
          {t("settings.storage.export-go")}
        </Button>
        <span class="muted">
          {lastExportMs === null
            ? t("settings.storage.never")
            : t("settings.storage.last", { when: dates.relative(lastExportMs, nowMs) })}
        </span>
      </div>
      <h3>{t("settings.storage.import")}</h3>
      <p class="muted">{t("settings.storage.import-text")}</p>
    </section>
  );
}

function TestRestore() {
  const { t } = useI18n();
  const [open, setOpen] = useState(false);
  const [opened, setOpened] = useState<Opened | null>(null);
  return (
    <section class="settings-group">
      <h2>{t("settings.storage.test")}</h2>
      <p>{t("settings.storage.test-text")}</p>
      {opened ? (
        <>
          <Banner icon="check">{t("settings.storage.test-good")}</Banner>
          <ExportContents report={opened.report} />
        </>
      ) : open ? (
        <SealedFile onOpened={setOpened} />
      ) : (
        <div class="settings-row">
          <Button onClick={() => setOpen(true)}>{t("settings.storage.test")}</Button>
        </div>
      )}
    </section>
  );
}

function RecoveryCodeCheck() {
  const { t } = useI18n();
  const engine = useEngine();
  const { busy, run } = useCommand();
  const [code, setCode] = useState("");
  const [right, setRight] = useState<boolean | null>(null);
  const check = (event: Event) => {
    event.preventDefault();
    if (!busy) void run(async () => setRight(await engine.calls.checkRecoveryCode(code.trim())));
  };
  return (
    <section class="settings-group">
      <h2>{t("settings.storage.code")}</h2>
      {engine.state.value.backup.codeSaved ? <p>{t("settings.storage.code-saved")}</p> : null}
      <form class="settings-group" onSubmit={check}>
        <Field
          label={t("settings.storage.code-test")}
          value={code}
          onInput={(value) => {
            setCode(value);
            setRight(null);
          }}
          error={right === false ? t("settings.storage.code-wrong") : null}
          autocomplete="off"
          autocapitalize="characters"
          spellcheck={false}
          dir="ltr"
        />
        {right ? <Banner icon="check">{t("settings.storage.code-right")}</Banner> : null}
        <div class="settings-row">
          <Button type="submit" busy={busy} disabled={code.trim() === ""}>
            {t("settings.storage.code-test")}
          </Button>
        </div>
      </form>
    </section>
  );
}

function Contacts() {
  const { t } = useI18n();
  const engine = useEngine();
  const feedback = useFeedback();
  const { busy, run } = useCommand();
  const save = () =>
    run(async () => {
      const cards = await engine.calls.exportContacts();
      saveFile(
        `tace-contacts-${dayStamp(Date.now())}.json`,
        "application/json",
        writeContacts(cards),
      );
    });
  const read = (file: File) =>
    run(async () => {
      const bytes = await fileBytes(file, MAX_CONTACTS_BYTES);
      const count = await engine.calls.importContacts(
        readContacts(new TextDecoder().decode(bytes)),
      );
      feedback.show(t("settings.storage.contacts-added", { count }), { tone: "good" });
    });
  return (
    <section class="settings-group">
      <h2>{t("settings.storage.contacts")}</h2>
      <p>{t("settings.storage.contacts-text")}</p>
      <div class="settings-row">
        <Button icon="download" busy={busy} onClick={save}>
          {t("settings.storage.contacts-export")}
        </Button>
        <FileButton accept=".json,application/json" busy={busy} onFile={read}>
          {t("settings.storage.contacts-import")}
        </FileButton>
      </div>
    </section>
  );
}
