import { useI18n } from "../app/i18n";
import { Select } from "../ui";
import { useSettings } from "./use-settings";

const CHOICES_DAYS = [1, 7, 30, 90, 365];

export function History() {
  const { t } = useI18n();
  const [settings, change] = useSettings();
  const days = settings.retentionDays;
  const choices =
    days === null || CHOICES_DAYS.includes(days) ? CHOICES_DAYS : [days, ...CHOICES_DAYS];
  return (
    <Select
      label={t("settings.history.keep")}
      hint={t("settings.history.hint")}
      value={days === null ? "" : String(days)}
      options={[
        { value: "", label: t("settings.history.for-ever") },
        ...choices.map((count) => ({
          value: String(count),
          label: t("settings.history.days", { count }),
        })),
      ]}
      onChange={(value) => change({ retentionDays: value === "" ? null : Number(value) })}
    />
  );
}
