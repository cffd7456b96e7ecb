import { useState } from "preact/hooks";
import { useEngine } from "../app/engine-context";
import { useI18n } from "../app/i18n";
import { nameProblem, tidyName } from "../app/nickname";
import { Avatar, Button, CopyButton, Field, QrCode, useFeedback } from "../ui";
import { useCommand } from "./use-settings";

export function Profile() {
  const { t } = useI18n();
  const engine = useEngine();
  const feedback = useFeedback();
  const { busy, run } = useCommand();
  const { me } = engine.state.value;
  const [name, setName] = useState(me?.name ?? "");
  const [error, setError] = useState<string | null>(null);
  if (!me) return null;

  const rename = (event: Event) => {
    event.preventDefault();
    const problem = nameProblem(name);
    if (problem) setError(t(`app.start.name-${problem}`));
    else if (!busy) void run(() => engine.calls.setName(tidyName(name)), t("settings.saved"));
  };
  const share = () => {
    // Closing the system's dialog is a refusal, too, and no problem.
    navigator.share({ url: me.link }).catch(() => undefined);
  };

  return (
    <>
      <section class="settings-me">
        <Avatar identity={me.identity} name={name} size="l" />
        <form class="settings-me-form" onSubmit={rename} noValidate>
          <Field
            label={t("settings.profile.name")}
            value={name}
            onInput={(value) => {
              setName(value);
              setError(null);
            }}
            error={error}
            autocomplete="nickname"
            dir="auto"
          />
          {tidyName(name) === me.name ? null : (
            <div class="settings-row">
              <Button type="submit" variant="primary" busy={busy}>
                {t("app.save")}
              </Button>
              <Button variant="quiet" onClick={() => setName(me.name)}>
                {t("app.cancel")}
              </Button>
            </div>
          )}
        </form>
      </section>
      <section class="settings-group settings-after">
        <h2>{t("settings.profile.link")}</h2>
        <p class="muted">{t("settings.profile.link-hint")}</p>
        <QrCode text={me.link} label={t("settings.profile.qr")} />
        <p class="code" dir="ltr">
          {me.link}
        </p>
        <div class="settings-row">
          <CopyButton
            text={me.link}
            label={t("settings.profile.copy")}
            copiedLabel={t("app.copied")}
            variant="primary"
            onRefused={() => feedback.show(t("errors.no-clipboard"), { tone: "problem" })}
          />
          {"share" in navigator ? (
            <Button icon="link" onClick={share}>
              {t("settings.profile.share")}
            </Button>
          ) : null}
        </div>
        <h3>{t("settings.profile.code")}</h3>
        <p class="code" dir="ltr">
          {me.code}
        </p>
      </section>
    </>
  );
}
