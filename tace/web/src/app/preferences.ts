/**
 * What belongs to this browser and not to the identity: theme and language. Kept beside the
 * database, because the first pixel needs them.
 */

import { effect, signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { isLanguageId, type LanguageId, languageFor } from "./languages";

export const THEMES = ["auto", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const THEME_KEY = "tace.theme";
const LANGUAGE_KEY = "tace.language";

export class Preferences {
  readonly theme;
  /** null: as the browser prefers. */
  readonly language;

  constructor(
    private readonly storage: Pick<Storage, "getItem" | "setItem" | "removeItem"> | null,
    private readonly browserLanguages: readonly string[],
  ) {
    const theme = this.read(THEME_KEY);
    const language = this.read(LANGUAGE_KEY);
    this.theme = signal<Theme>(THEMES.find((name) => name === theme) ?? "auto");
    this.language = signal<LanguageId | null>(isLanguageId(language) ? language : null);
  }

  get languageInUse(): LanguageId {
    return this.language.value ?? languageFor(this.browserLanguages);
  }

  setTheme(theme: Theme): void {
    this.theme.value = theme;
    this.write(THEME_KEY, theme === "auto" ? null : theme);
  }

  setLanguage(language: LanguageId | null): void {
    this.language.value = language;
    this.write(LANGUAGE_KEY, language);
  }

  /** Keeps an element (the root) in the theme. */
  applyTheme(root: HTMLElement): void {
    effect(() => {
      if (this.theme.value === "auto") delete root.dataset.theme;
      else root.dataset.theme = this.theme.value;
    });
  }

  // Storage can be refused altogether; then a preference lasts as long as the page.
  private read(key: string): string | null {
    try {
      return this.storage?.getItem(key) ?? null;
    } catch {
      return null;
    }
  }

  private write(key: string, value: string | null): void {
    try {
      if (value === null) this.storage?.removeItem(key);
      else this.storage?.setItem(key, value);
    } catch {
      return;
    }
  }
}

const PreferencesContext = createContext<Preferences | null>(null);
export const PreferencesProvider = PreferencesContext.Provider;

/** @throws Error outside the application. */
export function usePreferences(): Preferences {
  const preferences = useContext(PreferencesContext);
  if (!preferences) throw new Error("no PreferencesProvider");
  return preferences;
}
