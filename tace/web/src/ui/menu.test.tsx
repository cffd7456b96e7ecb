// @vitest-environment happy-dom
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { MenuButton } from "./menu";

let root: HTMLElement;
const selected = vi.fn();

beforeEach(async () => {
  selected.mockClear();
  root = document.body.appendChild(document.createElement("div"));
  const items = ["Pin", "Mute", "Delete"].map((label) => ({
    label,
    onSelect: () => selected(label),
  }));
  await act(() => render(<MenuButton icon="more" label="Options" items={items} />, root));
  await act(() => {
    opener().focus();
    opener().click();
  });
});

afterEach(() => {
  render(null, root);
  root.remove();
});

function opener(): HTMLButtonElement {
  const button = root.querySelector<HTMLButtonElement>("button[aria-haspopup]");
  if (!button) throw new Error("no button");
  return button;
}

async function key(name: string): Promise<void> {
  await act(() => {
    document.activeElement?.dispatchEvent(
      new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }),
    );
  });
}

const focused = () => document.activeElement?.textContent;

test("it opens on its first entry and says that it is open", () => {
  expect(focused()).toBe("Pin");
  expect(opener().getAttribute("aria-expanded")).toBe("true");
});

test("arrows go round, Home and End jump, a letter finds", async () => {
  await key("ArrowDown");
  expect(focused()).toBe("Mute");
  await key("End");
  expect(focused()).toBe("Delete");
  await key("ArrowDown");
  expect(focused()).toBe("Pin");
  await key("ArrowUp");
  expect(focused()).toBe("Delete");
  await key("Home");
  expect(focused()).toBe("Pin");
  await key("m");
  expect(focused()).toBe("Mute");
});

test("Escape closes it without a choice, and the focus is back", async () => {
  await key("Escape");
  expect(root.querySelector("[role=menu]")).toBeNull();
  expect(document.activeElement).toBe(opener());
  expect(selected).not.toHaveBeenCalled();
});

test("a choice closes it and is made once", async () => {
  await key("ArrowDown");
  await act(() => {
    if (document.activeElement instanceof HTMLElement) document.activeElement.click();
  });
  expect(selected.mock.calls).toEqual([["Mute"]]);
  expect(root.querySelector("[role=menu]")).toBeNull();
});
