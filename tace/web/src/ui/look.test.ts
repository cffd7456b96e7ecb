import { expect, test } from "vitest";
import { HUES, initialsOf, lookOf, SHAPES } from "./look";

test("the same identity always looks the same", () => {
  expect(lookOf("A01tAcE")).toEqual(lookOf("A01tAcE"));
});

test("people are spread over all colours and shapes", () => {
  const looks = Array.from({ length: 2_000 }, (_, number) => lookOf(`identity ${number}`));
  const counts = new Map<string, number>();
  for (const { hue, shape } of looks) {
    counts.set(`${hue} ${shape}`, (counts.get(`${hue} ${shape}`) ?? 0) + 1);
  }
  expect(counts.size).toBe(HUES * SHAPES);
  // 62 would be even.
  expect(Math.max(...counts.values())).toBeLessThan(120);
});

test.each([
  ["Grace Hopper", "GH"],
  ["grace", "G"],
  ["Ada King, Countess of Lovelace", "AL"],
  ["نور الهدى", "نا"],
  ["王小明", "王"],
  ["\u202eevil\u202c", "E"],
  ["👩‍🚀 Sally", "S"],
  ["🙂", "·"],
  ["", "·"],
  ["tace1qv4tq…", "·"],
])("the initials of %j", (name, initials) => {
  expect(initialsOf(name)).toBe(initials);
});
