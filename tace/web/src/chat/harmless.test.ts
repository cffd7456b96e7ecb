import { describe, expect, it } from "vitest";
import { isOnlyEmoji, reactionIn } from "./emoji";
import { harmlessExcerpt, harmlessLine, harmlessName, harmlessText } from "./harmless";

describe("harmlessText", () => {
  it("names overrides and isolates instead of obeying them", () => {
    expect(harmlessText("a\u202egnp.exe")).toBe("a⟦RLO⟧gnp.exe");
    expect(harmlessText("\u2067x\u2069")).toBe("⟦RLI⟧x⟦PDI⟧");
  });

  it("does not grow with a run of them", () => {
    expect(harmlessText("\u202e".repeat(10_000)).length).toBeLessThan(40);
    expect(harmlessText("\u200b".repeat(10_000))).toBe("▯");
  });

  it("shows control characters as their pictures and keeps lines and tabs", () => {
    expect(harmlessText("a\u0000b\u001bc\td\r\ne\u2028f")).toBe("a␀b␛c\td\ne\nf");
  });

  it("leaves writing and emoji that need joiners as they are", () => {
    for (const text of ["👩‍👩‍👧", "می‌خواهم", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "שלום\u200f", "é", "<b>bold</b>"]) {
      expect(harmlessText(text)).toBe(text);
    }
  });

  it("shows a text that is hidden in tags", () => {
    expect(harmlessText("hi\u{e0041}\u{e0042}")).toBe("hi▯");
  });

  it("lets marks pile up four high at most", () => {
    expect(harmlessText(`e${"\u0301".repeat(500)}!`)).toBe(`e${"\u0301".repeat(4)}!`);
  });
});

describe("harmlessName", () => {
  it("is one short line", () => {
    expect(harmlessName("  Ada\n\tLovelace ")).toBe("Ada Lovelace");
    expect([...harmlessName("😀".repeat(500))]).toHaveLength(64);
  });

  it("cannot close the isolate that a sentence puts round it", () => {
    expect(harmlessName("x\u2069\u202ey")).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/);
  });

  it("shows what would make two names look alike", () => {
    expect(harmlessName("Gr\u200bace\u200e")).toBe("Gr▯ace▯");
  });
});

it("makes one line of a text", () => {
  expect(harmlessLine("one\n\n two")).toBe("one two");
});

describe("emoji", () => {
  it("knows a text of nothing else", () => {
    expect(isOnlyEmoji("🎉 👩‍👩‍👧 🇩🇪")).toBe(true);
    expect(isOnlyEmoji("7")).toBe(false);
    expect(isOnlyEmoji("🎉!")).toBe(false);
    expect(isOnlyEmoji("")).toBe(false);
    expect(isOnlyEmoji("🎉".repeat(7))).toBe(false);
  });

  it("takes the first one of what was typed", () => {
    expect(reactionIn(" 👩‍👩‍👧🎉")).toBe("👩‍👩‍👧");
    expect(reactionIn("ok")).toBeNull();
    expect(reactionIn("")).toBeNull();
  });
});

describe("harmlessExcerpt", () => {
  it("moves the marks with what became longer before them", () => {
    const { text, marks } = harmlessExcerpt("\u202egnp tea \u200b\u200btea", [
      [5, 8],
      [11, 14],
    ]);
    expect(text).toBe("⟦RLO⟧gnp tea ▯tea");
    expect(marks.map(([start, end]) => text.slice(start, end))).toEqual(["tea", "tea"]);
  });

  it("keeps a mark over what is itself made harmless", () => {
    const { text, marks } = harmlessExcerpt("a t\u202eea b", [[2, 6]]);
    expect(marks.map(([start, end]) => text.slice(start, end))).toEqual(["t⟦RLO⟧ea"]);
  });
});
