import type { BlockedReason } from "../engine/contract";
import { Button } from "../ui";
import { useI18n } from "./i18n";
import { PlainPage } from "./plain-page";

/** Why it cannot work here, and what to do about it. */
export function Blocked({ why }: { why: BlockedReason }) {
  const { t } = useI18n();
  return (
    <PlainPage>
      <h1>{t("app.blocked.title")}</h1>
      <p>{t(`app.blocked.${why}`)}</p>
      <p>
        <strong>{t(`app.blocked.${why}-do`)}</strong>
      </p>
      <Button icon="retry" onClick={() => location.reload()}>
        {t("app.blocked.reload")}
      </Button>
    </PlainPage>
  );
}
