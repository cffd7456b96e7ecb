import { expect, test } from "vitest";
import { Preferences } from "./preferences";

class FakeStorage {
  readonly items = new Map<string, string>();

  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }

  setItem(key: string, value: string): void {
    this.items.set(key, value);
  }

  removeItem(key: string): void {
    this.items.delete(key);
  }
}

test("what was chosen is there again", () => {
  const storage = new FakeStorage();
  const first = new Preferences(storage, ["en"]);
  first.setTheme("dark");
  first.setLanguage("de");
  const second = new Preferences(storage, ["en"]);
  expect(second.theme.value).toBe("dark");
  expect(second.languageInUse).toBe("de");
  second.setTheme("auto");
  second.setLanguage(null);
  expect(storage.items.size).toBe(0);
});

test("what another program left there is not taken", () => {
  const storage = new FakeStorage();
  storage.setItem("tace.theme", "plaid");
  storage.setItem("tace.language", "constructor");
  const preferences = new Preferences(storage, ["de-CH"]);
  expect(preferences.theme.value).toBe("auto");
  expect(preferences.languageInUse).toBe("de");
});

test("a browser that refuses storage keeps a choice as long as the page lives", () => {
  const refusing = {
    getItem: () => {
      throw new Error("denied");
    },
    setItem: () => {
      throw new Error("denied");
    },
    removeItem: () => {
      throw new Error("denied");
    },
  };
  const preferences = new Preferences(refusing, ["en"]);
  preferences.setTheme("light");
  expect(preferences.theme.value).toBe("light");
});
