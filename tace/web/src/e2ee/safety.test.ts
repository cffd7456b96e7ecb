import { expect, test } from "vitest";
import { fromHex, hex, utf8 } from "../wire/bytes";
import { fingerprint, NotASafetyCode, safetyMatches, safetyNumber } from "./safety";
import { changed, load, rejection } from "./testing/vectors";

const given = load<{
  fingerprints: Readonly<Record<string, string>>;
  cases: readonly { one: string; other: string; digits: string | readonly string[]; qr: string }[];
}>("e2ee/safety.json");

test.each(Object.entries(given.fingerprints))(
  "the fingerprint of %s",
  async (identity, written) => {
    expect(hex(await fingerprint(fromHex(identity)))).toBe(written);
  },
);

test.each(given.cases)("the number of $one and $other", async ({ one, other, digits, qr }) => {
  const number = await safetyNumber(fromHex(one), fromHex(other));
  expect(number.groups.join("")).toBe([digits].flat().join("").replaceAll(/\s/g, ""));
  expect(number.groups.map((group) => group.length)).toEqual(Array(12).fill(5));
  expect(hex(number.qr)).toBe(qr);
  expect(safetyMatches(number, fromHex(qr))).toBe(true);
  expect(await safetyNumber(fromHex(other), fromHex(one))).toEqual(number);
});

test("another's code does not match, and something else is no safety code", async () => {
  const [ours, , others] = given.cases;
  const number = await safetyNumber(fromHex(ours!.one), fromHex(ours!.other));
  expect(safetyMatches(number, fromHex(others!.qr))).toBe(false);
  expect(safetyMatches(number, changed(number.qr, -1))).toBe(false);
  for (const scanned of [utf8("https://node.example/"), new Uint8Array(), number.qr.slice(1)]) {
    expect(() => safetyMatches(number, scanned)).toThrow(NotASafetyCode);
  }
  expect(() => safetyMatches(number, changed(number.qr, 3))).toThrow(NotASafetyCode);
  expect(await rejection(fingerprint(new Uint8Array(32)))).toBeInstanceOf(RangeError);
});
