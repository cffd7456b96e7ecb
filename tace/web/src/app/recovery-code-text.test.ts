import { expect, test } from "vitest";
import { endsWith } from "./recovery-code-text";

const CODE = "7K3Q9-ZX4TM-0WVBN-82HCE-5RYDP-GA10F";

test.each(["5RYDP-GA10F", "5rydp ga10f", "5RYDPGA10F", "5rydp–gaIOf", " 5RYDP\nGAlof "])(
  "%j are the last two groups",
  (typed) => {
    expect(endsWith(CODE, typed)).toBe(true);
  },
);

test.each(["", "GA10F", "5RYDP-GA10E", CODE])("%j are not", (typed) => {
  expect(endsWith(CODE, typed)).toBe(false);
});
