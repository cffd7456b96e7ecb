import { useState } from "preact/hooks";
import { useI18n } from "../app/i18n";
import { notificationPermission } from "../app/notifications";
import { Banner, Field, Toggle } from "../ui";
import { clockOf, minutesOf } from "./minutes";
import { useSettings } from "./use-settings";

const QUIET_FROM = 22 * 60;
const QUIET_TO = 7 * 60;

export function Notifications() {
  const { t } = useI18n();
  const [settings, change] = useSettings();
  const [permission, setPermission] = useState(notificationPermission);
  const possible = "Notification" in globalThis;
  const { quietFrom, quietTo } = settings;

  const turn = async (on: boolean) => {
    if (!on) {
      change({ notifications: false });
      return;
    }
    const answer = await Notification.requestPermission();
    setPermission(answer);
    change({ notifications: answer === "granted" });
  };

  return (
    <>
      {possible ? (
        <Toggle
          label={t("settings.notifications.on")}
          hint={t("settings.notifications.on-hint")}
          checked={settings.notifications && permission === "granted"}
          disabled={permission === "denied"}
          onChange={(on) => void turn(on)}
        />
      ) : (
        <Banner>{t("settings.notifications.not-here")}</Banner>
      )}
      {possible && permission === "denied" ? (
        <Banner tone="warn" icon="warning">
          {t("settings.notifications.refused")}
        </Banner>
      ) : null}
      <Toggle
        label={t("settings.notifications.quiet")}
        hint={t("settings.notifications.quiet-hint")}
        checked={quietFrom !== null && quietTo !== null}
        onChange={(on) =>
          change({ quietFrom: on ? QUIET_FROM : null, quietTo: on ? QUIET_TO : null })
        }
      />
      {quietFrom !== null && quietTo !== null ? (
        <div class="settings-times">
          <TimeField
            label={t("settings.notifications.from")}
            minutes={quietFrom}
            onChange={(minutes) => change({ quietFrom: minutes })}
          />
          <TimeField
            label={t("settings.notifications.to")}
            minutes={quietTo}
            onChange={(minutes) => change({ quietTo: minutes })}
          />
        </div>
      ) : null}
      <p class="muted">{t("settings.notifications.per-chat")}</p>
    </>
  );
}

function TimeField(props: { label: string; minutes: number; onChange: (minutes: number) => void }) {
  return (
    <Field
      type="time"
      label={props.label}
      value={clockOf(props.minutes)}
      onInput={(value) => {
        const minutes = minutesOf(value);
        if (minutes !== null) props.onChange(minutes);
      }}
    />
  );
}
