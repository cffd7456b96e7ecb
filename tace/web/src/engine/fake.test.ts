import { expect, test } from "vitest";
import { VirtualClock } from "../network/testing/clock";
import { CALL_NAMES } from "./calls";
import { emptyEngine, sampleEngine } from "./fake";

test("it has every call of the contract", () => {
  const engine = sampleEngine({ time: new VirtualClock() });
  for (const name of CALL_NAMES) expect(typeof engine[name]).toBe("function");
});

test("what is sent is saved, stored and delivered in time", async () => {
  const time = new VirtualClock();
  const engine = sampleEngine({ time });
  const [chat] = await engine.chats();
  const identity = chat?.identity ?? "";
  const id = "0".repeat(31) + "z";
  const state = async () =>
    (await engine.messages(identity, { limit: 5 })).messages.find((each) => each.id === id)?.state;
  await engine.send(identity, id, "hello", null);
  await engine.send(identity, id, "hello", null);
  expect(await state()).toBe("saved");
  await time.advance(500);
  expect(await state()).toBe("stored");
  await time.advance(500);
  expect(await state()).toBe("delivered");
  expect((await engine.search({ text: "HELLO", chat: identity, limit: 5 })).hits[0]?.id).toBe(id);
});

test("an empty one begins with nobody, and can be started", async () => {
  const engine = emptyEngine({ time: new VirtualClock() });
  expect(engine.state.phase.at).toBe("new");
  await engine.create("Ada");
  expect(engine.state).toMatchObject({ phase: { at: "ready" }, me: { name: "Ada" } });
  await expect(engine.create("Eve")).rejects.toMatchObject({ code: "identity-exists" });
});

test("a long chat on demand", async () => {
  const engine = sampleEngine({ time: new VirtualClock(), bulk: 5_000 });
  const chat = (await engine.chats()).find((each) => each.name === "Mary Somerville");
  const page = await engine.messages(chat?.identity ?? "", { limit: 100 });
  expect(page.messages).toHaveLength(100);
  expect(page.hasEarlier).toBe(true);
});
