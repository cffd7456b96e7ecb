import fc from "fast-check";
import { expect, test } from "vitest";
import { fold, marksIn } from "./folding";

function marked(text: string, wanted: string): string[] {
  return marksIn(text, fold(wanted)).map(([start, end]) => text.slice(start, end));
}

test("case, accents and compatibility forms do not matter", () => {
  expect(marked("Crème BRÛLÉE, creme brulee", "creme brulée")).toEqual([
    "Crème BRÛLÉE",
    "creme brulee",
  ]);
  expect(marked("the ﬁrst ﬁle", "fi")).toEqual(["ﬁ", "ﬁ"]);
  expect(marked("cafe\u0301!", "café")).toEqual(["cafe\u0301"]);
  expect(marked("привет Ёлка", "елка")).toEqual(["Ёлка"]);
});

test("nothing wanted marks nothing", () => {
  expect(marksIn("anything", "")).toEqual([]);
});

test("marks lie in the text, in order, and hold what was wanted", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (text, wanted) => {
      const folded = fold(wanted);
      let last = 0;
      for (const [start, end] of marksIn(text, folded)) {
        expect(start).toBeGreaterThanOrEqual(last);
        expect(end).toBeGreaterThan(start);
        expect(end).toBeLessThanOrEqual(text.length);
        last = end;
      }
    }),
  );
});
