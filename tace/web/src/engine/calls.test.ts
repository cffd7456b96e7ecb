import { expect, test } from "vitest";
import { outcomeOf } from "./calls";
import { EngineError } from "./contract";

test("a call that fails crosses to the page as a word", async () => {
  const failing = (error: unknown) => outcomeOf(() => Promise.reject(error));
  expect(await failing(new EngineError("bad-link", "too short"))).toEqual({
    ok: false,
    code: "bad-link",
    detail: "too short",
  });
  const full = new DOMException("no space", "QuotaExceededError");
  expect(await failing(full)).toEqual({ ok: false, code: "storage-full", detail: "" });
  expect(await failing(new TypeError("oh"))).toEqual({
    ok: false,
    code: "internal",
    detail: "TypeError: oh",
  });
});
