import { useI18n } from "../app/i18n";
import { Banner, Toggle } from "../ui";
import { useSettings } from "./use-settings";

export function Privacy() {
  const { t } = useI18n();
  const [settings, change] = useSettings();
  return (
    <>
      <Toggle
        label={t("settings.privacy.read")}
        hint={t("settings.privacy.read-hint")}
        checked={settings.readReceipts}
        onChange={(readReceipts) => change({ readReceipts })}
      />
      <Toggle
        label={t("settings.privacy.two-nodes")}
        hint={t("settings.privacy.two-nodes-hint")}
        checked={settings.twoNodes}
        onChange={(twoNodes) => change({ twoNodes })}
      />
      <Banner icon="shield">{t("settings.privacy.always")}</Banner>
    </>
  );
}
