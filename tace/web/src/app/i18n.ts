/**
 * The page's words, numbers and dates in the chosen language.
 *
 * English is in the bundle, other languages are loaded when they are chosen; so is the settings
 * area, which no start needs.
 */

import { signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { app } from "./catalogue/en/app";
import { chat } from "./catalogue/en/chat";
import { contacts } from "./catalogue/en/contacts";
import { errors } from "./catalogue/en/errors";
import type { settings } from "./catalogue/en/settings";
import type { Catalogue, Message, Value, Values } from "./catalogue/message";
import { type Dates, datesIn } from "./dates";
import { ENGLISH_LOADERS, LANGUAGES, type Language, type LanguageId } from "./languages";

/** The source of all keys. */
interface Areas {
  app: typeof app;
  chat: typeof chat;
  contacts: typeof contacts;
  errors: typeof errors;
  settings: typeof settings;
}

export type Area = keyof Areas;

type KeysOf<Name extends Area> = `${Name}.${keyof Areas[Name] & string}`;

/** As "chat.send": the area, then the key within it. */
export type MessageKey = { [Name in Area]: KeysOf<Name> }[Area];

type EntryOf<Key extends MessageKey> = Key extends `${infer Name extends Area}.${infer Rest}`
  ? Rest extends keyof Areas[Name]
    ? Extract<Areas[Name][Rest], Message>
    : never
  : never;

export type Translate = <Key extends MessageKey>(
  key: Key,
  ...values: Values<EntryOf<Key>>
) => string;

/** First strong isolate and its end: a name's direction must not turn the sentence round it. */
const ISOLATE = "\u2068";
const END_ISOLATE = "\u2069";

const IN_BUNDLE: Readonly<Partial<Record<Area, Catalogue>>> = { app, chat, contacts, errors };

interface Loaded {
  language: Language;
  areas: Readonly<Partial<Record<Area, Catalogue>>>;
  plural: Intl.PluralRules;
  dates: Dates;
}

export class I18n {
  private readonly loaded = signal<Loaded>(loadedIn(LANGUAGES.en, IN_BUNDLE));
  private readonly needed = new Set<Area>(["app", "chat", "contacts", "errors"]);
  private choice = 0;

  /** Components that read a text are drawn again when the language changes. */
  readonly t: Translate = (key, ...[values]) => {
    const text = this.entry(key, values);
    return values ? this.fill(text, values) : text;
  };

  get language(): Language {
    return this.loaded.value.language;
  }

  get dates(): Dates {
    return this.loaded.value.dates;
  }

  /** Loads what the language needs, then changes over. The last call wins. */
  async use(id: LanguageId): Promise<void> {
    this.choice += 1;
    const mine = this.choice;
    const language = LANGUAGES[id];
    const areas = await loadAreas(language, [...this.needed]);
    if (mine === this.choice) this.loaded.value = loadedIn(language, areas);
  }

  /** Before a screen is drawn whose words are not in the bundle. */
  async need(area: Area): Promise<void> {
    this.needed.add(area);
    for (let now = this.loaded.value; now.areas[area] === undefined; now = this.loaded.value) {
      const more = await loadAreas(now.language, [area]);
      // A change of language meanwhile has loaded the area by itself.
      if (this.loaded.value === now) {
        this.loaded.value = { ...now, areas: { ...now.areas, ...more } };
      }
    }
  }

  /**
   * For keys that come from elsewhere (an error's code): the text, or that of `fallback`.
   *
   * @param key as "errors.no-node".
   */
  orElse(key: string, fallback: MessageKey): string {
    return this.find(key) === undefined ? this.entry(fallback) : this.entry(key);
  }

  private entry(key: string, values?: Readonly<Record<string, Value>>): string {
    const entry = this.find(key);
    if (entry === undefined) return key;
    if (typeof entry === "string") return entry;
    return entry[this.loaded.value.plural.select(Number(values?.count))] ?? entry.other;
  }

  private find(key: string): Message | undefined {
    const dot = key.indexOf(".");
    const areas: Readonly<Record<string, Catalogue | undefined>> = this.loaded.value.areas;
    const area = areas[key.slice(0, dot)];
    const name = key.slice(dot + 1);
    return area && Object.hasOwn(area, name) ? area[name] : undefined;
  }

  private fill(text: string, values: Readonly<Record<string, Value>>): string {
    return text.replace(/\{(\w+)\}/g, (place, name: string) => {
      const value = values[name];
      if (value === undefined) return place;
      return typeof value === "number"
        ? this.dates.number(value)
        : `${ISOLATE}${value}${END_ISOLATE}`;
    });
  }
}

function loadedIn(language: Language, areas: Loaded["areas"]): Loaded {
  const { locale } = language;
  return { language, areas, plural: new Intl.PluralRules(locale), dates: datesIn(locale) };
}

async function loadAreas(language: Language, areas: Area[]): Promise<Loaded["areas"]> {
  const pairs = areas.map(async (area) => {
    const english = IN_BUNDLE[area] ?? (await ENGLISH_LOADERS[area]());
    return [area, await language.load(area, english)] as const;
  });
  return Object.fromEntries(await Promise.all(pairs));
}

const I18nContext = createContext<I18n>(new I18n());
export const I18nProvider = I18nContext.Provider;

/** `t`, `dates` and the language in use. */
export function useI18n(): I18n {
  return useContext(I18nContext);
}
