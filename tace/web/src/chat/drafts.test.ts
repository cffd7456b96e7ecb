import { expect, it } from "vitest";
import { type DraftStorage, Drafts } from "./drafts";

function memory(): DraftStorage {
  const kept = new Map<string, string>();
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  };
}

it("keeps each chat's text until the engine has it", () => {
  const drafts = new Drafts(memory());
  drafts.write("a", "one");
  drafts.write("b", "two");
  drafts.settled("a", "one");
  expect(drafts.read("a")).toBeNull();
  expect(drafts.read("b")).toBe("two");
});

it("keeps what was typed after the text that the engine has", () => {
  const drafts = new Drafts(memory());
  drafts.write("a", "one more");
  drafts.settled("a", "one");
  expect(drafts.read("a")).toBe("one more");
});

it("says when a text is not kept", () => {
  const full: DraftStorage = {
    ...memory(),
    setItem: () => {
      throw new DOMException("full", "QuotaExceededError");
    },
  };
  expect(new Drafts(full).write("a", "text")).toBe(false);
  expect(new Drafts(null).write("a", "text")).toBe(false);
  expect(new Drafts(memory()).write("a", "text")).toBe(true);
});
