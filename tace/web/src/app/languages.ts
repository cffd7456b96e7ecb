/** The languages there are, and where their catalogues come from. */

import type { Catalogue } from "./catalogue/message";

type Area = "app" | "chat" | "contacts" | "errors" | "settings";

export type LanguageId = "en" | "de" | "pseudo";

export interface Language {
  id: LanguageId;
  /** Its own name for itself. */
  name: string;
  /** BCP 47, for dates, numbers and `lang`. */
  locale: string;
  direction: "ltr" | "rtl";
  /** @param english the same area in English, for a language that is made out of it. */
  load(area: Area, english: Catalogue): Promise<Catalogue>;
}

export const ENGLISH_LOADERS: Readonly<Record<Area, () => Promise<Catalogue>>> = {
  app: async () => (await import("./catalogue/en/app")).app,
  chat: async () => (await import("./catalogue/en/chat")).chat,
  contacts: async () => (await import("./catalogue/en/contacts")).contacts,
  errors: async () => (await import("./catalogue/en/errors")).errors,
  settings: async () => (await import("./catalogue/en/settings")).settings,
};

export const LANGUAGES: Readonly<Record<LanguageId, Language>> = {
  en: {
    id: "en",
    name: "English",
    locale: "en",
    direction: "ltr",
    load: async (_area, english) => english,
  },
  de: {
    id: "de",
    name: "Deutsch",
    locale: "de",
    direction: "ltr",
    load: async (area) => (await import("./catalogue/de/index")).german[area],
  },
  // Shows which texts are not in the catalogue, what does not fit, and what cannot run from right
  // to left, to somebody who reads English only.
  pseudo: {
    id: "pseudo",
    name: "Pseudo (right to left)",
    locale: "en-XB",
    direction: "rtl",
    load: async (_area, english) => (await import("./pseudo")).pseudoCatalogue(english),
  },
};

export function isLanguageId(text: string | null): text is LanguageId {
  return text !== null && Object.hasOwn(LANGUAGES, text);
}

/** The first of the reader's languages that there is; else English. */
export function languageFor(preferred: readonly string[]): LanguageId {
  for (const tag of preferred) {
    const id = tag.toLowerCase().split("-")[0] ?? "";
    if (isLanguageId(id) && id !== "pseudo") return id;
  }
  return "en";
}
