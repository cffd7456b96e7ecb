import { useI18n } from "../app/i18n";
import { isLanguageId, LANGUAGES } from "../app/languages";
import { THEMES, usePreferences } from "../app/preferences";
import { Select } from "../ui";

export function Appearance() {
  const { t } = useI18n();
  const preferences = usePreferences();
  const themes = THEMES.map((theme) => ({
    value: theme,
    label: t(`settings.appearance.${theme}`),
  }));
  // The made-up language is for who works on the page.
  const showsPseudo =
    preferences.language.value === "pseudo" || new URLSearchParams(location.search).has("pseudo");
  const languages = Object.values(LANGUAGES)
    .filter((language) => language.id !== "pseudo" || showsPseudo)
    .map((language) => ({ value: language.id, label: language.name }));
  return (
    <>
      <Select
        label={t("settings.appearance.theme")}
        value={preferences.theme.value}
        options={themes}
        onChange={(value) => {
          preferences.setTheme(THEMES.find((theme) => theme === value) ?? "auto");
        }}
      />
      <Select
        label={t("settings.appearance.language")}
        value={preferences.language.value ?? ""}
        options={[{ value: "", label: t("settings.appearance.language-auto") }, ...languages]}
        onChange={(value) => preferences.setLanguage(isLanguageId(value) ? value : null)}
      />
    </>
  );
}
