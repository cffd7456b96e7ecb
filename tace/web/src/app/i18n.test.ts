import { beforeEach, describe, expect, test } from "vitest";
import { I18n } from "./i18n";
import { languageFor } from "./languages";

let i18n: I18n;

beforeEach(() => {
  i18n = new I18n();
});

describe("texts", () => {
  test("numbers choose the plural form and are written as the language does", () => {
    expect(i18n.t("app.status.waiting", { count: 1 })).toBe("1 message waits");
    expect(i18n.t("app.status.waiting", { count: 12_345 })).toBe("12,345 messages wait");
  });

  test("a name is isolated, so that its direction stays its own", () => {
    expect(i18n.t("app.code.ready", { name: "نور" })).toBe("Ready, \u2068نور\u2069");
  });

  test("a name that looks like a place is only text", () => {
    expect(i18n.t("app.code.ready", { name: "{name}" })).toBe("Ready, \u2068{name}\u2069");
  });

  test("an unknown error's code falls back", () => {
    expect(i18n.orElse("errors.no-node", "errors.unknown")).toMatch(/no node at this address/);
    expect(i18n.orElse("errors.toString", "errors.unknown")).toBe(i18n.t("errors.unknown"));
    expect(i18n.orElse("errors.from-the-future", "errors.unknown")).toBe(i18n.t("errors.unknown"));
  });
});

describe("changing the language", () => {
  test("German", async () => {
    await i18n.use("de");
    expect(i18n.t("app.status.connected")).toBe("Verbunden");
    expect(i18n.t("app.status.waiting", { count: 12_345 })).toBe("12.345 Nachrichten warten");
  });

  test("the pseudo-language runs from right to left and keeps the places", async () => {
    await i18n.use("pseudo");
    expect(i18n.language.direction).toBe("rtl");
    expect(i18n.t("app.code.ready", { name: "Ada" })).toContain("\u2068Ada\u2069");
    expect(i18n.t("app.cancel")).toContain("\u202e");
  });

  test("the last choice wins, whichever loads first", async () => {
    const pseudo = i18n.use("pseudo");
    const german = i18n.use("de");
    await Promise.all([german, pseudo]);
    expect(i18n.language.id).toBe("de");
  });

  test("an area that was loaded comes along into the new language", async () => {
    expect(i18n.t("settings.title")).toBe("settings.title");
    await i18n.need("settings");
    expect(i18n.t("settings.title")).toBe("Settings");
    await i18n.use("de");
    expect(i18n.t("settings.title")).toBe("Einstellungen");
  });
});

test.each([
  [["de-AT", "en"], "de"],
  [["fr", "de"], "de"],
  [["fr"], "en"],
  [["pseudo"], "en"],
  [[], "en"],
])("of %j the browser gets %s", (preferred, id) => {
  expect(languageFor(preferred)).toBe(id);
});
