import { describe, expect, test } from "vitest";
import { ENGLISH_LOADERS, LANGUAGES } from "../languages";
import { pseudoCatalogue } from "../pseudo";
import type { Catalogue, Message } from "./message";

const AREAS = ["app", "chat", "contacts", "errors", "settings"] as const;

describe.each(AREAS)("%s", (area) => {
  test.each(["de", "pseudo"] as const)("is whole in %s, with the same places", async (id) => {
    const english = await ENGLISH_LOADERS[area]();
    const translated = await LANGUAGES[id].load(area, english);
    expect(Object.keys(translated).sort()).toEqual(Object.keys(english).sort());
    for (const [key, message] of Object.entries(english)) {
      const other = translated[key];
      if (other === undefined) throw new Error(key);
      expect(placesOf(other), key).toEqual(placesOf(message));
    }
  });

  test("German has the plural forms that German needs", async () => {
    const german = await LANGUAGES.de.load(area, await ENGLISH_LOADERS[area]());
    const { pluralCategories } = new Intl.PluralRules("de").resolvedOptions();
    for (const [key, message] of Object.entries(german)) {
      if (typeof message !== "string") {
        expect(Object.keys(message).sort(), key).toEqual([...pluralCategories].sort());
      }
    }
  });

  test("no text is empty or has space at its ends", async () => {
    const english = await ENGLISH_LOADERS[area]();
    const german = await LANGUAGES.de.load(area, english);
    for (const catalogue of [english, german]) {
      for (const [key, text] of textsOf(catalogue)) {
        expect(text.trim(), key).not.toBe("");
        // The recovery code's file ends with a line's end.
        if (key !== "code.file-text") expect(text, key).toBe(text.trim());
      }
    }
  });
});

test("the pseudo-language keeps the places of plural forms", () => {
  const made = pseudoCatalogue({ a: { one: "{count} day", other: "{count} days" } });
  expect(placesOf(made.a ?? "")).toEqual(["count"]);
});

function textsOf(catalogue: Catalogue): [string, string][] {
  return Object.entries(catalogue).flatMap(([key, message]) =>
    formsOf(message).map((text): [string, string] => [key, text]),
  );
}

function formsOf(message: Message): string[] {
  return typeof message === "string" ? [message] : Object.values(message);
}

/** All names of places, over all plural forms. */
function placesOf(message: Message): string[] {
  const names = formsOf(message).flatMap((text) =>
    [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? ""),
  );
  return [...new Set(names)].sort();
}
