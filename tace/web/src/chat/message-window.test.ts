import { expect, it } from "vitest";
import type { Message } from "../engine/contract";
import { sampleEngine } from "../engine/fake";
import { sampleIdentity } from "../engine/sample";
import type { Clock } from "../network/clock";
import { MAX_LOADED, MessageWindow, PAGE_MESSAGES } from "./message-window";
import { timeline } from "./timeline";

const MARY = sampleIdentity(4);
const NOW = Date.UTC(2026, 5, 15, 12);
const still: Clock = { now: () => NOW, after: () => () => undefined };

function open(bulk: number) {
  const engine = sampleEngine({ time: still, bulk });
  const window = new MessageWindow(engine, MARY);
  engine.subscribe((event) => window.heard(event));
  const loaded = () => window.state.value?.messages ?? [];
  /** A question behind all others: when it is answered, so are they. */
  const settled = () => window.later();
  return { engine, window, loaded, settled };
}

function growing(messages: readonly Message[]): boolean {
  return messages.every((each, at) => at === 0 || each.place > (messages[at - 1]?.place ?? 0));
}

it("opens with the latest page and goes back page by page", async () => {
  const { window, loaded } = open(250);
  await window.open(null);
  expect(loaded()).toHaveLength(PAGE_MESSAGES);
  await window.earlier();
  await window.earlier();
  expect(loaded()).toHaveLength(250);
  expect(window.state.value?.hasEarlier).toBe(false);
  expect(growing(loaded())).toBe(true);
});

it("never holds more than its bound, and finds the end again", async () => {
  const { window, loaded } = open(1_000);
  await window.open(null);
  for (let page = 0; page < 9; page += 1) await window.earlier();
  expect(loaded()).toHaveLength(MAX_LOADED);
  expect(window.state.value?.hasLater).toBe(true);
  while (window.state.value?.hasLater) await window.later();
  expect(loaded().at(-1)?.text).toContain("(1000)");
  expect(growing(loaded())).toBe(true);
});

it("shows what arrives, changes and goes, and keeps the objects of what did not", async () => {
  const { engine, window, loaded, settled } = open(20);
  await window.open(null);
  const first = loaded()[0];
  const arrived = engine.receive(MARY, "fresh");
  await settled();
  expect(loaded().at(-1)?.text).toBe("fresh");
  await engine.react(arrived.id, "👍");
  await settled();
  expect(loaded().at(-1)?.reactions).toHaveLength(1);
  await engine.deleteMessage(arrived.id);
  await settled();
  expect(loaded()).toHaveLength(20);
  expect(loaded()[0]).toBe(first);
});

it("does not jump to the end when something arrives while one reads further up", async () => {
  const { engine, window, loaded, settled } = open(400);
  await window.open(null);
  const wanted = await engine.messages(MARY, { limit: 1 });
  await window.open((await engine.messages(MARY, { limit: 1, before: 100 })).messages[0]?.id ?? "");
  const before = loaded().length;
  engine.receive(MARY, "fresh");
  await new Promise((resolve) => setTimeout(resolve));
  expect(loaded().length).toBeLessThanOrEqual(before + 8);
  expect(loaded().some((message) => message.id === wanted.messages[0]?.id)).toBe(false);
  await settled();
});

it("says when the database refuses, and mends with the next question", async () => {
  const { engine } = open(5);
  let refuses = true;
  const window = new MessageWindow(
    {
      messages: (chat, request) =>
        refuses ? Promise.reject(new Error("broken")) : engine.messages(chat, request),
    },
    MARY,
  );
  await window.open(null);
  expect(window.failed.value).toBe(true);
  refuses = false;
  await window.open(null);
  expect(window.failed.value).toBe(false);
});

it("lays a line before the first unread message and one for each day", async () => {
  const { engine } = open(5);
  const page = await engine.messages(sampleIdentity(2), { limit: 100 });
  const unread = page.messages.at(-2)?.id ?? null;
  const rows = timeline(page.messages, unread);
  const line = rows.findIndex((row) => row.row === "new");
  expect(rows[line + 1]).toMatchObject({ key: unread, first: true });
  expect(rows[0]?.row).toBe("day");
  expect(rows.at(-1)).toMatchObject({ first: false, last: true });
});
