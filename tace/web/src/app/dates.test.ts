import { expect, test } from "vitest";
import { datesIn, daysBetween } from "./dates";

const NOW = new Date(2026, 2, 11, 14, 5).getTime();
const at = (day: number, hour: number) => new Date(2026, 2, day, hour).getTime();

const english = datesIn("en");
const german = datesIn("de");

test.each([
  [at(11, 0), "Today"],
  [at(10, 23), "Yesterday"],
  [at(9, 1), "Monday"],
  [at(5, 23), "Thursday"],
  [at(4, 23), "Mar 4"],
  [new Date(2025, 11, 24).getTime(), "Dec 24, 2025"],
  // A clock that runs ahead somewhere.
  [at(12, 9), "Mar 12"],
])("the day of %d is %s", (ms, expected) => {
  expect(english.day(ms, NOW)).toBe(expected);
});

test("a list shows the time today, else the day", () => {
  expect(german.short(at(11, 9), NOW)).toBe("09:00");
  expect(german.short(at(10, 9), NOW)).toBe("Gestern");
});

test("days go from midnight to midnight", () => {
  expect(daysBetween(at(10, 23), at(11, 0))).toBe(1);
  expect(daysBetween(at(11, 0), at(11, 23))).toBe(0);
});

test.each([
  [0, "0 byte"],
  [999, "999 byte"],
  [1_400, "1.4 kB"],
  [63_472, "63 kB"],
  [2_000_000_000, "2 GB"],
])("%d bytes", (count, expected) => {
  expect(english.bytes(count)).toBe(expected);
});

test("relative times name the largest unit that fits", () => {
  expect(english.relative(NOW - 3 * 86_400_000, NOW)).toBe("3 days ago");
  expect(german.relative(NOW - 20_000, NOW)).toBe("vor 20 Sekunden");
});
