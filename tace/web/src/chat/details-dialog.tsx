import { useEffect, useState } from "preact/hooks";
import { useEngine } from "../app/engine-context";
import { errorText } from "../app/error-text";
import { useI18n } from "../app/i18n";
import { hostOf } from "../app/status-line";
import type { DeliveryDetails, Message } from "../engine/contract";
import { Button, Dialog, Spinner } from "../ui";
import { stateWord } from "./preview";
import { StateSign } from "./state-sign";

/** What is known of a message's way: words first, then numbers and times. */
export function DetailsDialog({ message, onClose }: { message: Message; onClose: () => void }) {
  const i18n = useI18n();
  const { t } = i18n;
  const { calls } = useEngine();
  const [details, setDetails] = useState<DeliveryDetails | null>(null);
  const [error, setError] = useState<string | null>(null);
  useEffect(() => {
    let wanted = true;
    calls.details(message.id).then(
      (found) => wanted && setDetails(found),
      (refused) => wanted && setError(errorText(i18n, refused)),
    );
    return () => {
      wanted = false;
    };
  }, [calls, i18n, message.id, message.state]);
  return (
    <Dialog
      title={t("chat.details.title")}
      closeLabel={t("app.close")}
      onClose={onClose}
      actions={<Button onClick={onClose}>{t("app.done")}</Button>}
    >
      {error ? <p role="alert">{error}</p> : null}
      {details ? <Facts details={details} /> : error ? null : <Spinner label={t("app.loading")} />}
      <p class="muted">{t("chat.details.ticks")}</p>
    </Dialog>
  );
}

function Facts({ details }: { details: DeliveryDetails }) {
  const i18n = useI18n();
  const { t, dates } = i18n;
  const { copies, of } = details;
  const node = details.node ? hostOf(details.node) : t("chat.details.node-unknown");
  const when = (ms: number | null) => (ms === null ? null : dates.dateTime(ms));
  const rows: [string, string | null][] = [
    [
      t("chat.details.copies"),
      copies > 0
        ? t("chat.details.copies-value", { node, copies, of })
        : t("chat.details.copies-none"),
    ],
    [t("chat.details.stored"), when(details.storedMs)],
    [t("chat.details.delivered"), when(details.deliveredMs)],
    [t("chat.details.read"), when(details.readMs)],
    [
      t("chat.details.refusal"),
      details.refusal === null
        ? null
        : i18n.orElse(`chat.refusal.${details.refusal}`, "chat.refusal.other"),
    ],
    [t("chat.details.attempts"), dates.number(details.attempts)],
    [t("chat.details.next"), when(details.nextAttemptMs)],
    [t("chat.details.parts"), details.parts > 1 ? dates.number(details.parts) : null],
    [t("chat.details.expires"), when(details.expiresMs)],
  ];
  return (
    <dl class="details">
      <div>
        <dt>{t("chat.details.state")}</dt>
        <dd class="details-state">
          <StateSign state={details.state} />
          {stateWord(i18n, details.state)}
        </dd>
      </div>
      {rows.map(([term, value]) =>
        value === null ? null : (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ),
      )}
    </dl>
  );
}
