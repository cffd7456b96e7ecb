import { useEffect, useState } from "preact/hooks";
import { Banner, Button, CopyButton, Dialog, Field, Spinner, useFeedback } from "../ui";
import { useEngine } from "./engine-context";
import { errorText } from "./error-text";
import { useI18n } from "./i18n";
import "./recovery-code.css";
import { endsWith, groupsOf } from "./recovery-code-text";
import { saveFile } from "./save-file";

/** Shows the recovery code, helps to keep it, and forgets it when it is said to be saved. */
export function RecoveryCodeDialog({ onClose }: { onClose: () => void }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const feedback = useFeedback();
  const [code, setCode] = useState<string | null>(null);
  const [shown, setShown] = useState(false);
  const [typed, setTyped] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  useEffect(() => {
    let wanted = true;
    calls.recoveryCode().then(
      (answer) => wanted && setCode(answer),
      (refusal) => wanted && setError(errorText(i18n, refusal)),
    );
    return () => {
      wanted = false;
    };
  }, [calls, i18n]);

  const saved = async () => {
    if (code === null) return;
    if (!endsWith(code, typed)) {
      setError(t("app.code.check-wrong"));
      return;
    }
    setBusy(true);
    try {
      await calls.codeSaved();
      feedback.show(t("app.code.forgotten"), { tone: "good" });
      onClose();
    } catch (refusal) {
      setError(errorText(i18n, refusal));
      setBusy(false);
    }
  };

  return (
    <Dialog
      title={t("app.code.title")}
      closeLabel={t("app.close")}
      onClose={onClose}
      actions={
        <>
          <Button variant="quiet" onClick={onClose}>
            {t("app.code.later")}
          </Button>
          <Button variant="primary" busy={busy} onClick={saved}>
            {t("app.code.saved")}
          </Button>
        </>
      }
    >
      <p>{t("app.code.text")}</p>
      {code === null ? (
        error ? (
          <Banner tone="danger" icon="warning">
            {error}
          </Banner>
        ) : (
          <Spinner label={t("app.loading")} />
        )
      ) : (
        <>
          <CodeCard code={code} shown={shown} />
          <div class="recovery-code-ways">
            <Button onClick={() => setShown(!shown)}>
              {shown ? t("app.code.hide") : t("app.code.show")}
            </Button>
            <CopyButton
              text={code}
              label={t("app.copy")}
              copiedLabel={t("app.copied")}
              onRefused={() => feedback.show(t("errors.no-clipboard"), { tone: "problem" })}
            />
            <KeepingButtons code={code} print={() => printWhenShown(setShown)} />
          </div>
          <Field
            label={t("app.code.check")}
            hint={t("app.code.check-hint")}
            value={typed}
            onInput={(value) => {
              setTyped(value);
              setError(null);
            }}
            error={error}
            autocomplete="off"
            autocapitalize="characters"
            spellcheck={false}
          />
        </>
      )}
    </Dialog>
  );
}

function CodeCard({ code, shown }: { code: string; shown: boolean }) {
  const { t } = useI18n();
  const me = useEngine().state.value.me;
  return (
    <figure class="recovery-code">
      <figcaption class="recovery-code-caption">
        {t("app.code.label")} · tace · <bdi>{me?.name}</bdi>
      </figcaption>
      <div class="recovery-code-groups" dir="ltr">
        {groupsOf(code).map((group, at) => (
          <span key={at} class="recovery-code-group">
            {shown ? group : <span aria-hidden="true">•••••</span>}
          </span>
        ))}
      </div>
      {shown ? null : <p class="recovery-code-caption">{t("app.code.hidden")}</p>}
    </figure>
  );
}

function KeepingButtons({ code, print }: { code: string; print: () => void }) {
  const { t } = useI18n();
  const name = useEngine().state.value.me?.name ?? "";
  const save = () => {
    const text = t("app.code.file-text", { name, code });
    saveFile("tace-recovery-code.txt", "text/plain", text.replace(/[\u2068\u2069]/g, ""));
  };
  return (
    <>
      <Button icon="download" onClick={save}>
        {t("app.code.file")}
      </Button>
      <Button icon="file" onClick={print}>
        {t("app.print")}
      </Button>
    </>
  );
}

/** What is printed is what is shown, so the code has to be on the screen first. */
function printWhenShown(setShown: (shown: boolean) => void): void {
  setShown(true);
  requestAnimationFrame(() => requestAnimationFrame(() => print()));
}
