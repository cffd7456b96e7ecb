/** The texts that people type, read aloud and paste: base32, recovery codes, links. */

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, fromHex, hex } from "../wire/bytes";
import { CheckedBase32, Damaged } from "./base32";
import { E2eeLabel } from "./labels";
import { BadLink, contactCode, linkText, parseLink } from "./link";
import {
  BadRecoveryCode,
  identityOf,
  makeRecoveryCode,
  parseRecoveryCode,
  recoveryCodeText,
} from "./recovery";
import { load, rejection } from "./testing/vectors";

interface Refused {
  readonly text: string;
  readonly error: string;
}

describe("checked base32", () => {
  const kind = new CheckedBase32(E2eeLabel.RECOVERY_CHECK, 16, 30);
  const value = fc.uint8Array({ minLength: 16, maxLength: 16 });

  test("what is written is read, whatever the case and the separators", async () => {
    await fc.assert(
      fc.asyncProperty(
        value,
        fc.nat(29),
        fc.constantFrom(..." \t\r\n-\u00a0\u2010\u2013"),
        async (bytes, at, space) => {
          const text = await kind.encode(concat(bytes));
          expect(text).toMatch(/^[0-9A-HJKMNP-TV-Z]{30}$/);
          const typed = text.slice(0, at) + space + text.slice(at).toLowerCase();
          expect(await kind.decode(typed)).toEqual(concat(bytes));
          const alike = text.replaceAll("1", "l").replaceAll("0", "O");
          expect(await kind.decode(alike)).toEqual(concat(bytes));
        },
      ),
      { seed: 1, numRuns: 200 },
    );
  });

  test("one wrong character, or two that are swapped, are found", async () => {
    const text = await kind.encode(Uint8Array.from({ length: 16 }, (_, at) => 7 * at));
    for (let at = 0; at < text.length; at += 1) {
      const wrong = text.slice(0, at) + (text[at] === "7" ? "8" : "7") + text.slice(at + 1);
      expect(await rejection(kind.decode(wrong))).toBeInstanceOf(Damaged);
      const [one, two] = [text[at], text[at + 1]];
      if (two === undefined || one === two) continue;
      const swapped = text.slice(0, at) + two + one + text.slice(at + 2);
      expect(await rejection(kind.decode(swapped))).toBeInstanceOf(Damaged);
    }
  });

  test("letters whose upper case is one of the alphabet are refused", async () => {
    const text = "0".repeat(29);
    for (const letter of ["\u017f", "\u0131", "\uff21", "\u{1d7d8}", "ß", "u", "U"]) {
      expect(String(await rejection(kind.decode(letter + text)))).toContain(
        `'${letter}' (character 1) is never part of it`,
      );
    }
  });

  test("whatever is typed gives a value or Damaged, and values have one length", async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "binary", maxLength: 60 }), async (typed) => {
        expect(await rejection(kind.decode(typed))).toBeInstanceOf(Damaged);
      }),
      { seed: 2, numRuns: 200 },
    );
    expect(await rejection(kind.encode(new Uint8Array(15)))).toBeInstanceOf(RangeError);
  });
});

describe("recovery codes", () => {
  const given = load<{
    codes: readonly { secret: string; text: string; identity: { public: string } }[];
    same_as_the_third: readonly string[];
    refused: readonly Refused[];
  }>("e2ee/recovery.json");

  test.each(given.codes)("$text", async ({ secret, text, identity }) => {
    const code = await parseRecoveryCode(text);
    expect(hex(code.secret)).toBe(secret);
    expect(await recoveryCodeText(code)).toBe(text);
    const key = await identityOf(code);
    expect(hex(key.point)).toBe(identity.public);
    expect(key.privateKey.extractable).toBe(false);
    expect(key.privateKey.usages).toEqual(["sign"]);
  });

  test.each(given.same_as_the_third)("the same: %j", async (text) => {
    expect(hex((await parseRecoveryCode(text)).secret)).toBe(given.codes[2]!.secret);
  });

  test.each(given.refused)("refused: $text", async ({ text, error }) => {
    expect(await rejection(parseRecoveryCode(text))).toEqual(new BadRecoveryCode(error));
  });

  test("a new one is what the random source gives", () => {
    const asked: number[] = [];
    const code = makeRecoveryCode((count) => {
      asked.push(count);
      return new Uint8Array(count).fill(5);
    });
    expect([asked, code.secret]).toEqual([[16], new Uint8Array(16).fill(5)]);
  });
});

describe("contact links", () => {
  const given = load<{
    identity: string;
    origin: string;
    link: string;
    code: string;
    same: readonly string[];
    refused: readonly Refused[];
  }>("e2ee/links.json");
  const identity = fromHex(given.identity);

  test("the link, and the bare code where no node is named", async () => {
    expect(await linkText({ identity, origin: given.origin })).toBe(given.link);
    expect(await linkText({ identity, origin: "" })).toBe(given.code);
    expect(await contactCode(identity)).toBe(given.code);
    expect(await parseLink(given.link)).toEqual({ identity, origin: given.origin });
    expect(await parseLink(given.code)).toEqual({ identity, origin: "" });
  });

  test.each(given.same)("the same: %j", async (text) => {
    expect((await parseLink(text)).identity).toEqual(identity);
  });

  test.each(given.refused)("refused: $text", async ({ text, error }) => {
    expect(await rejection(parseLink(text))).toEqual(new BadLink(error));
  });

  test("a code that fits its checksum and holds no key is refused, and a book too", async () => {
    for (const point of [new Uint8Array(33), new Uint8Array(33).fill(0xff)]) {
      const error = await rejection(parseLink(await contactCode(point)));
      expect(error).toEqual(new BadLink("the contact code holds no valid key"));
    }
    const book = await rejection(parseLink("tace1".padEnd(513, "0")));
    expect(book).toEqual(new BadLink("that is too long for a contact link"));
  });

  test("whatever is pasted gives a link or BadLink", async () => {
    const pasted = fc.oneof(
      fc.string({ unit: "binary", maxLength: 600 }),
      fc.string({ maxLength: 70 }).map((text) => `https://node.example/#tace1${text}`),
      fc.webUrl({ withFragments: true }),
    );
    await fc.assert(
      fc.asyncProperty(pasted, async (text) => {
        expect(await rejection(parseLink(text))).toBeInstanceOf(BadLink);
      }),
      { seed: 3, numRuns: 300 },
    );
  });
});
