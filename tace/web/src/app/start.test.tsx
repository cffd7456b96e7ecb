// @vitest-environment happy-dom
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, expect, test } from "vitest";
import { emptyEngine, type FakeEngine } from "../engine/fake";
import { EngineProvider, LiveEngine } from "./engine-context";
import { Router, RouterProvider } from "./route";
import { Start } from "./start";

let root: HTMLElement;
let engine: FakeEngine;

beforeEach(async () => {
  root = document.body.appendChild(document.createElement("div"));
  engine = emptyEngine();
  await act(() => {
    render(
      <EngineProvider value={new LiveEngine(engine)}>
        <RouterProvider value={new Router(window)}>
          <Start />
        </RouterProvider>
      </EngineProvider>,
      root,
    );
  });
});

afterEach(() => {
  render(null, root);
  root.remove();
});

async function type(field: number, text: string): Promise<void> {
  await act(() => {
    const input = [...root.querySelectorAll("input:not([type=file])")][field];
    if (!(input instanceof HTMLInputElement)) throw new Error(`no field ${field}`);
    input.value = text;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

async function submit(): Promise<void> {
  await act(async () => {
    root.querySelector("form")?.dispatchEvent(new Event("submit", { cancelable: true }));
  });
}

async function press(label: string): Promise<void> {
  await act(() => {
    const button = [...root.querySelectorAll("button")].find((each) =>
      each.textContent?.includes(label),
    );
    if (!button) throw new Error(`no button ${label}`);
    button.click();
  });
}

test("a nickname is enough", async () => {
  await type(0, "  Ada   Lovelace ");
  await submit();
  expect(engine.state.phase.at).toBe("ready");
  expect(engine.state.me?.name).toBe("Ada Lovelace");
});

test("without a nickname it says what is missing and starts nothing", async () => {
  await submit();
  expect(root.querySelector("input")?.getAttribute("aria-invalid")).toBe("true");
  expect(root.textContent).toContain("Write something that people will know you by.");
  expect(engine.state.phase.at).toBe("new");
});

test("a wrong recovery code keeps what was typed, and there is a way back", async () => {
  await press("I have a recovery code");
  await type(0, "AAAAA-AAAAA");
  await type(1, "Ada");
  await submit();
  expect(root.textContent).toContain("This recovery code is not right.");
  expect(root.querySelector("input")?.value).toBe("AAAAA-AAAAA");
  await press("Back");
  expect(root.textContent).toContain("What are you called?");
});

test("the code brings the identity back", async () => {
  await press("I have a recovery code");
  await type(0, "7K3Q9-ZX4TM-0WVBN-82HCE-5RYDP-GA61F");
  await type(1, "Ada");
  await submit();
  expect(engine.state.phase.at).toBe("ready");
});
