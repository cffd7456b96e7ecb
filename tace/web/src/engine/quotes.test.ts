import { expect, it } from "vitest";
import { quoteOf } from "./views";

const ROW = { id: "aa", mine: 1, kind: "text", text: "x".repeat(300), file: null } as const;
const FILE = { name: "plan.pdf" };

it("quotes the beginning of a text", () => {
  expect(quoteOf("aa", ROW)).toEqual({ id: "aa", mine: true, kind: "text", text: "x".repeat(200) });
});

it("quotes a file by its name", () => {
  const row = { ...ROW, mine: 0, kind: "file", text: "", file: FILE } as const;
  expect(quoteOf("aa", row)).toEqual({ id: "aa", mine: false, kind: "file", text: "plan.pdf" });
});

it("tells a deleted message from one that is not here", () => {
  const deleted = { ...ROW, kind: "deleted", text: "" } as const;
  expect(quoteOf("aa", deleted)).toMatchObject({ kind: "deleted", text: "" });
  expect(quoteOf("aa", undefined)).toEqual({ id: "aa", mine: false, kind: "gone", text: "" });
});
