import { useState } from "preact/hooks";
import { Button, Dialog, useFeedback } from "../ui";
import { useEngine } from "./engine-context";
import { errorText } from "./error-text";
import { useI18n } from "./i18n";
import { PlainPage } from "./plain-page";

/** The identity went on elsewhere; this browser has stopped. */
export function Replaced() {
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const feedback = useFeedback();
  const [asking, setAsking] = useState(false);
  const forget = () => {
    setAsking(false);
    calls.forget().catch((error) => feedback.show(errorText(i18n, error), { tone: "problem" }));
  };
  return (
    <PlainPage>
      <h1>{t("app.replaced.title")}</h1>
      <p>{t("app.replaced.text")}</p>
      <p>{t("app.replaced.do")}</p>
      <Button icon="trash" onClick={() => setAsking(true)}>
        {t("app.replaced.forget")}
      </Button>
      {asking ? (
        <Dialog
          kind="alert"
          title={t("app.replaced.forget")}
          closeLabel={t("app.close")}
          onClose={() => setAsking(false)}
          actions={
            <>
              <Button onClick={() => setAsking(false)}>{t("app.cancel")}</Button>
              <Button variant="danger" onClick={forget}>
                {t("app.replaced.forget")}
              </Button>
            </>
          }
        >
          <p>{t("app.replaced.sure")}</p>
        </Dialog>
      ) : null}
    </PlainPage>
  );
}
