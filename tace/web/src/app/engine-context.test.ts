import { expect, test } from "vitest";
import type { Chat, Engine, EngineEvent } from "../engine/contract";
import { INITIAL_STATE } from "../engine/initial-state";
import { engineOver } from "../engine/remote";
import { emptyChat, sampleIdentity } from "../engine/sample";
import { LiveEngine } from "./engine-context";

/** Answers when it is told to, in any order. */
class SlowEngine {
  readonly engine: Engine;
  readonly listAnswers: ((chats: Chat[]) => void)[] = [];
  readonly chatAnswers: ((chat: Chat | null) => void)[] = [];
  private listener: (event: EngineEvent) => void = () => {};

  constructor() {
    const state = { ...INITIAL_STATE, phase: { at: "ready" } as const };
    this.engine = {
      ...engineOver(null, state),
      state,
      chats: () => new Promise((resolve) => this.listAnswers.push(resolve)),
      chat: () => new Promise((resolve) => this.chatAnswers.push(resolve)),
      subscribe: (listener) => {
        this.listener = listener;
        return () => {};
      },
    };
  }

  tell(event: EngineEvent): void {
    this.listener(event);
  }
}

const one = emptyChat(sampleIdentity(1), "One", 1_000);
const two = emptyChat(sampleIdentity(2), "Two", 2_000);

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
}

async function loaded(): Promise<[SlowEngine, LiveEngine]> {
  const slow = new SlowEngine();
  const live = new LiveEngine(slow.engine);
  slow.listAnswers[0]?.([one, two]);
  await settled();
  return [slow, live];
}

test("chats are there once they are loaded, the latest first", async () => {
  const slow = new SlowEngine();
  const live = new LiveEngine(slow.engine);
  expect(live.chats.value).toBeNull();
  slow.listAnswers[0]?.([one, two]);
  await settled();
  expect(live.chats.value?.map((chat) => chat.name)).toEqual(["Two", "One"]);
});

test("a chat that changes is asked for by itself, and one that went is gone", async () => {
  const [slow, live] = await loaded();
  slow.tell({ event: "chats", identities: [one.identity] });
  slow.chatAnswers[0]?.({ ...one, activeMs: 3_000 });
  await settled();
  expect(live.chats.value?.[0]?.name).toBe("One");
  slow.tell({ event: "chats", identities: [one.identity] });
  slow.chatAnswers[1]?.(null);
  await settled();
  expect(live.chats.value?.map((chat) => chat.name)).toEqual(["Two"]);
  expect(slow.listAnswers.length).toBe(1);
});

test("of answers that overtake each other the latest question's counts", async () => {
  const [slow, live] = await loaded();
  slow.tell({ event: "chats", identities: [one.identity] });
  slow.tell({ event: "chats", identities: [one.identity] });
  slow.chatAnswers[1]?.({ ...one, unread: 2 });
  await settled();
  slow.chatAnswers[0]?.({ ...one, unread: 1 });
  await settled();
  expect(live.chat(one.identity)?.unread).toBe(2);
});

test("a change while the list is on its way is not lost", async () => {
  const [slow, live] = await loaded();
  const many = Array.from({ length: 40 }, (_, number) => sampleIdentity(number));
  slow.tell({ event: "chats", identities: many });
  slow.tell({ event: "chats", identities: [one.identity] });
  slow.chatAnswers[0]?.({ ...one, unread: 7 });
  await settled();
  slow.listAnswers[1]?.([one, two]);
  await settled();
  expect(live.chat(one.identity)?.unread).toBe(7);
});
