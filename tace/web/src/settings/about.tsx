import { useI18n } from "../app/i18n";
import { usePage } from "../app/page-context";
import { Banner, Button, Logo } from "../ui";

export function About() {
  const { t } = useI18n();
  const { installation } = usePage();
  return (
    <>
      <section class="settings-me">
        <Logo size="l" />
        <div>
          <h2>{t("settings.about.version", { version: import.meta.env.TACE_VERSION })}</h2>
          <p class="muted">{t("app.tagline")}</p>
        </div>
      </section>
      {installation.prompt.value ? (
        <Banner
          tone="accent"
          icon="download"
          action={<Button onClick={() => installation.ask()}>{t("app.install.action")}</Button>}
        >
          {t("settings.about.install")}
        </Banner>
      ) : null}
      <section class="settings-group">
        <h2>{t("settings.about.promise")}</h2>
        <ul class="settings-promises">
          <li>{t("settings.about.promise-1")}</li>
          <li>{t("settings.about.promise-2")}</li>
          <li>{t("settings.about.promise-3")}</li>
          <li>{t("settings.about.promise-4")}</li>
        </ul>
        <p class="muted">{t("settings.about.docs")}</p>
      </section>
    </>
  );
}
