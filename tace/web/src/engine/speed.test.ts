/** A chat of 5,000 messages: nothing reads all of it to show a part of it. */

import { expect, test } from "vitest";
import type { Change } from "../store/change";
import { PLACE_STEP, summarise } from "../store/messages";
import { addPerson } from "../store/people";
import type { MessageRow } from "../store/rows";
import { emptyDatabase } from "../store/testing/database";
import { DatabaseQueries } from "./queries";

const MESSAGES = 5_000;
const CHAT = `A${"x".repeat(43)}`;

function row(number: number): MessageRow {
  const id = number.toString(16).padStart(32, "0");
  return {
    id,
    chat: CHAT,
    contentId: id,
    mine: 0,
    place: number * PLACE_STEP,
    kind: "text",
    text: `Message number ${number} about nothing in particular`,
    sentMs: number,
    savedMs: number,
    state: "delivered",
    device: "",
    counter: number,
    editCounter: 0,
    replyTo: null,
    partIds: [],
    myReaction: null,
    theirReaction: null,
    file: null,
    delivery: null,
  };
}

async function filled(change: Change): Promise<void> {
  await addPerson(change, CHAT, "contact", 0);
  for (let number = 1; number <= MESSAGES; number += 1) change.put("message", row(number));
}

test("pages of a long chat", async () => {
  const database = await emptyDatabase();
  await database.change(filled);
  await database.change((change) => summarise(change, CHAT));
  let read = 0;
  const { reader } = database;
  const counting = {
    get: reader.get.bind(reader),
    keys: reader.keys.bind(reader),
    all: async (...args: Parameters<typeof reader.all>) => {
      const found = await reader.all(...args);
      read += found.length;
      return found;
    },
  } as typeof reader;
  const queries = new DatabaseQueries(counting);
  const latest = await queries.messages(CHAT, { limit: 100 });
  expect(latest.messages.map((message) => message.place)).toEqual(
    Array.from({ length: 100 }, (_, at) => (MESSAGES - 99 + at) * PLACE_STEP),
  );
  expect(latest).toMatchObject({ hasEarlier: true, hasLater: false });
  const before = latest.messages[0]?.place ?? 0;
  const earlier = await queries.messages(CHAT, { limit: 100, before });
  expect(earlier.messages.at(-1)?.place).toBe(before - PLACE_STEP);
  expect(earlier).toMatchObject({ hasEarlier: true, hasLater: true });
  const id = row(2_500).id;
  const around = await queries.messages(CHAT, { limit: 51, around: id });
  expect(around.messages.findIndex((message) => message.id === id)).toBe(25);
  const first = await queries.messages(CHAT, { limit: 10, after: 0 });
  expect(first.messages[0]?.id).toBe(row(1).id);
  expect(first).toMatchObject({ hasEarlier: false, hasLater: true });
  expect(read).toBeLessThan(400);
  // The first search reads the texts, the next ones nothing but memory.
  expect((await queries.search({ text: "NUMBER 4999", limit: 5 })).total).toBe(1);
  read = 0;
  const found = await queries.search({ text: "particulár", limit: 5 });
  expect(found).toMatchObject({ total: MESSAGES, hits: { length: 5 } });
  expect(read).toBe(0);
}, 30_000);
