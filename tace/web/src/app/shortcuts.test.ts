import { expect, test } from "vitest";
import { neighbour, SHORTCUTS, shortcutFor } from "./shortcuts";

const plain = { ctrlKey: false, metaKey: false, altKey: false, shiftKey: false };

test("every shortcut is heard, and no two are the same", () => {
  for (const { action, key, with: held } of SHORTCUTS) {
    const event = { ...plain, key, ctrlKey: held === "command", altKey: held === "alt" };
    expect(shortcutFor(event)).toBe(action);
  }
});

test("the command key is Ctrl or ⌘", () => {
  expect(shortcutFor({ ...plain, key: "k", metaKey: true })).toBe("search");
});

test("no letter alone, and nothing with other keys held, does anything", () => {
  expect(shortcutFor({ ...plain, key: "k" })).toBeNull();
  expect(shortcutFor({ ...plain, key: "k", ctrlKey: true, altKey: true })).toBeNull();
  expect(shortcutFor({ ...plain, key: "k", ctrlKey: true, shiftKey: true })).toBeNull();
});

test("neighbours in a list", () => {
  const list = ["a", "b", "c"];
  expect(neighbour(list, "b", 1)).toBe("c");
  expect(neighbour(list, "b", -1)).toBe("a");
  expect(neighbour(list, "c", 1)).toBeNull();
  expect(neighbour(list, "gone", 1)).toBe("a");
  expect(neighbour([], null, 1)).toBeNull();
});
