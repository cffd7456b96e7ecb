import { expect, test } from "vitest";
import { pointAt } from "./ring-geometry";

test.each([
  [0, 100, 20],
  [0.25, 180, 100],
  [0.5, 100, 180],
  [0.75, 20, 100],
])("%d of the way round", (at, x, y) => {
  const point = pointAt(at, 100, 80);
  expect(point.x).toBeCloseTo(x);
  expect(point.y).toBeCloseTo(y);
});
