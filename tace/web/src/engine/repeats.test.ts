/** The law of repeating, by the vectors that the command line keeps to as well. */

import { expect, test } from "vitest";
import { vectorFile } from "../wire/testing/vectors";
import { ABSENT_MS, repeatAfter, repeatAfterRefusal } from "./repeats";

interface Vectors {
  absent_seconds: number;
  waits: { offers: number; drawn: number; seconds: number; seconds_after_refusal: number }[];
}

const vectors = vectorFile("client/repeats.json") as Vectors;

test.each(vectors.waits)("after $offers offers, $drawn drawn", (row) => {
  expect(repeatAfter(row.offers, () => row.drawn)).toBe(row.seconds * 1000);
  const refused = repeatAfterRefusal(row.offers, () => row.drawn);
  expect(refused).toBe(row.seconds_after_refusal * 1000);
});

test("how long an absence is", () => {
  expect(ABSENT_MS).toBe(vectors.absent_seconds * 1000);
});
