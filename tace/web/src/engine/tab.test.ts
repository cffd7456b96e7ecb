import { expect, test } from "vitest";
import type { CommandName } from "./calls";
import type { EngineEvent, Queries } from "./contract";
import { EngineError } from "./contract";
import { INITIAL_STATE } from "./initial-state";
import { type OwnedEngine, Tab } from "./tab";
import { Browser } from "./testing/tabs";

/** Carries out commands when it is told to. */
class SlowEngine implements OwnedEngine {
  readonly state = INITIAL_STATE;
  readonly asked: string[] = [];
  readonly notes: unknown[] = [];
  private readonly answers: (() => void)[] = [];

  async command(name: CommandName, args: unknown[]): Promise<unknown> {
    this.asked.push(`${name} ${args[0]}`);
    await new Promise<void>((resolve) => this.answers.push(resolve));
    if (args[0] === "wrong") throw new EngineError("bad-link", "no code");
    return `done ${args[0]}`;
  }

  answerAll(): void {
    for (const answer of this.answers.splice(0)) answer();
  }

  note(note: unknown): void {
    this.notes.push(note);
  }

  async close(): Promise<void> {}
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

class Opened {
  readonly engine = new SlowEngine();
  readonly events: EngineEvent[] = [];
  owns = 0;
  tell: (event: EngineEvent) => void = () => {};
  readonly tab: Tab;

  constructor(browser: Browser, name: string, ownership: () => number) {
    this.tab = new Tab({
      tab: name,
      channel: browser.channel(),
      locks: browser,
      queries: async () => ({ chats: async () => [] }) as unknown as Queries,
      own: async (tell) => {
        this.owns += 1;
        this.tell = tell;
        return { engine: this.engine, ownership: ownership() };
      },
      tell: (event) => this.events.push(event),
    });
    this.tab.start();
  }
}

function twoTabs(): [Opened, Opened] {
  const browser = new Browser();
  let ownership = 0;
  const next = () => {
    ownership += 1;
    return ownership;
  };
  return [new Opened(browser, "first", next), new Opened(browser, "second", next)];
}

test("one tab owns the engine, the other passes its commands on", async () => {
  const [first, second] = twoTabs();
  await settled();
  expect([first.owns, second.owns]).toEqual([1, 0]);
  const call = second.tab.call("accept", ["ada"]);
  await settled();
  expect(first.engine.asked).toEqual(["accept ada"]);
  first.engine.answerAll();
  expect(await call).toEqual({ ok: true, value: "done ada" });
});

test("an error crosses with its code", async () => {
  const [first, second] = twoTabs();
  await settled();
  const call = second.tab.call("addContact", ["wrong"]);
  await settled();
  first.engine.answerAll();
  expect(await call).toEqual({ ok: false, code: "bad-link", detail: "no code" });
});

test("what the owner left unanswered is asked of the next one", async () => {
  const [first, second] = twoTabs();
  await settled();
  const call = second.tab.call("send", ["ada"]);
  await settled();
  expect(first.engine.asked).toEqual(["send ada"]);
  await first.tab.close();
  await settled();
  expect(second.owns).toBe(1);
  expect(second.engine.asked).toEqual(["send ada"]);
  second.engine.answerAll();
  expect(await call).toEqual({ ok: true, value: "done ada" });
});

test("a third tab repeats to the second owner what the first did not answer", async () => {
  const browser = new Browser();
  let ownership = 0;
  const next = () => {
    ownership += 1;
    return ownership;
  };
  const [first, second, third] = ["a", "b", "c"].map((name) => new Opened(browser, name, next));
  if (!first || !second || !third) throw new Error("three tabs");
  await settled();
  const call = third.tab.call("send", ["ada"]);
  await settled();
  await first.tab.close();
  await settled();
  second.engine.answerAll();
  await settled();
  expect(second.engine.asked).toEqual(["send ada"]);
  expect(await call).toEqual({ ok: true, value: "done ada" });
  // A new tab asks who owns it: nothing is repeated to an owner that has it already.
  const fourth = new Opened(browser, "d", next);
  await settled();
  expect(second.engine.asked).toEqual(["send ada"]);
  expect(fourth.events.at(-1)?.event).toBe("state");
});

test("queries are answered without an owner", async () => {
  const browser = new Browser();
  const tab = new Tab({
    tab: "only",
    channel: browser.channel(),
    locks: browser,
    queries: async () => ({ chats: async () => ["one"] }) as unknown as Queries,
    own: () => new Promise(() => {}),
    tell: () => {},
  });
  expect(await tab.call("chats", [])).toEqual({ ok: true, value: ["one"] });
});

test("events and notes cross between the tabs", async () => {
  const [first, second] = twoTabs();
  await settled();
  const event: EngineEvent = { event: "chats", identities: ["ada"] };
  first.tell(event);
  second.tab.note({ note: "online", online: false });
  await settled();
  expect(second.events.at(-1)).toEqual(event);
  expect(first.events.at(-1)).toEqual(event);
  expect(first.engine.notes).toEqual([{ note: "online", online: false }]);
});

test("what a page noted before its tab owned the engine reaches the engine", async () => {
  const [first, second] = twoTabs();
  second.tab.note({ note: "online", online: true });
  second.tab.note({ note: "online", online: false });
  await settled();
  await first.tab.close();
  await settled();
  expect(second.engine.notes).toEqual([{ note: "online", online: false }]);
});
