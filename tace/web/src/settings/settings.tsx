import type { ComponentType } from "preact";
import { useI18n } from "../app/i18n";
import { hrefOf, SETTINGS_SECTIONS, type SettingsSection } from "../app/route";
import { Icon, type IconName, ListButton, Screen } from "../ui";
import { About } from "./about";
import { Appearance } from "./appearance";
import { Forget } from "./forget";
import { History } from "./history";
import { Notifications } from "./notifications";
import { Privacy } from "./privacy";
import { Profile } from "./profile";
import "./settings.css";
import { Shortcuts } from "./shortcuts";
import { Storage } from "./storage";

const SECTIONS: Record<SettingsSection, { icon: IconName; Section: ComponentType }> = {
  profile: { icon: "person", Section: Profile },
  appearance: { icon: "palette", Section: Appearance },
  notifications: { icon: "bell", Section: Notifications },
  privacy: { icon: "shield", Section: Privacy },
  history: { icon: "clock", Section: History },
  storage: { icon: "storage", Section: Storage },
  shortcuts: { icon: "keyboard", Section: Shortcuts },
  about: { icon: "info", Section: About },
  forget: { icon: "trash", Section: Forget },
};

/** The list of sections, or one of them. */
export function Settings({ section }: { section: SettingsSection | null }) {
  const { t } = useI18n();
  if (section === null) return <SectionList />;
  const { Section } = SECTIONS[section];
  return (
    <Screen
      isOnlyText={section === "shortcuts" || section === "about"}
      title={t(`settings.${section}`)}
      back={{
        href: hrefOf({ at: "settings", section: null }),
        label: t("settings.back-to-list"),
        always: true,
      }}
    >
      <Section key={section} />
    </Screen>
  );
}

function SectionList() {
  const { t } = useI18n();
  const row = (section: SettingsSection) => (
    <li key={section}>
      <ListButton
        href={hrefOf({ at: "settings", section })}
        start={<Icon name={SECTIONS[section].icon} />}
        title={t(`settings.${section}`)}
        detail={t(`settings.${section}.detail`)}
        end={<Icon name="forward" size="s" />}
      />
    </li>
  );
  return (
    <Screen
      title={t("settings.title")}
      back={{ href: hrefOf({ at: "chats" }), label: t("settings.back") }}
    >
      {/* biome-ignore lint/a11y/noRedundantRoles: without its marks Safari takes a list for none */}
      <ul role="list" class="settings-list">
        {SETTINGS_SECTIONS.filter((section) => section !== "forget").map(row)}
        <li>
          <ListButton
            href={hrefOf({ at: "network" })}
            start={<Icon name="network" />}
            title={t("settings.network.title")}
            detail={t("settings.network.nodes")}
            end={<Icon name="forward" size="s" />}
          />
        </li>
        {/* Last, and on its own: it cannot be taken back. */}
        {row("forget")}
      </ul>
    </Screen>
  );
}
