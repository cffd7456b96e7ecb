import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Kind } from "../e2ee/content";
import { ROOM_WITH_HANDSHAKE } from "../e2ee/inner";
import { split } from "../e2ee/parts";
import { MAX_TEXT_BYTES, measureText, utf8Bytes } from "./measure";

describe("utf8Bytes", () => {
  it("is what an encoder makes, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        expect(utf8Bytes(text)).toBe(new TextEncoder().encode(text).length);
      }),
    );
  });

  it("counts half a pair as its replacement", () => {
    for (const text of ["\ud83d", "\ude00", "\ud83dx", "\ude00\ud83d"]) {
      expect(utf8Bytes(text)).toBe(new TextEncoder().encode(text).length);
    }
  });
});

describe("measureText", () => {
  it("promises as many parts as are made, or one more at a border", () => {
    for (const length of [2_100, 3_940, 3_960, 20_000, MAX_TEXT_BYTES]) {
      const body = { kind: Kind.TEXT, text: "x".repeat(length) } as const;
      const made = split(body, ROOM_WITH_HANDSHAKE, new Uint8Array(16)).length;
      const { parts, fits } = measureText(body.text);
      expect(fits).toBe(true);
      expect(parts - made).toBeGreaterThanOrEqual(0);
      expect(parts - made).toBeLessThanOrEqual(1);
    }
  });

  it("keeps a short text whole and refuses what no parts can carry", () => {
    expect(measureText("hello").parts).toBe(1);
    expect(measureText("").parts).toBe(1);
    expect(measureText("x".repeat(MAX_TEXT_BYTES)).fits).toBe(true);
    expect(measureText("x".repeat(MAX_TEXT_BYTES + 1)).fits).toBe(false);
    expect(measureText("é".repeat(MAX_TEXT_BYTES / 2 + 1)).fits).toBe(false);
  });
});
