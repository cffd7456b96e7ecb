/** A page ends right after each of its transactions, once: nothing is lost and nothing is doubled. */

import { expect, test } from "vitest";
import type { Person } from "./testing/engines";
import { World } from "./testing/engines";

/** More transactions than one message takes on either side. */
const STEPS = 14;

/** The page is gone right after the next so many transactions: what they wrote is on the disk. */
function crashAfter(person: Person, transactions: number): Promise<void> {
  const database = person.stored;
  const change = database.change.bind(database);
  let left = transactions;
  return new Promise((crashed) => {
    database.change = async (work) => {
      const result = await change(work);
      left -= 1;
      if (left === 0) {
        void person.crash().then(crashed);
        // Nothing of what follows is seen by anybody.
        return await new Promise<never>(() => {});
      }
      return result;
    };
  });
}

async function exchange(crash: (ada: Person, bob: Person) => Promise<void>): Promise<void> {
  const world = new World();
  const [ada, bob] = await world.pair();
  const first = await ada.say(bob, "one");
  await world.until(async () => (await ada.message(first))?.state === "delivered");
  let isOver = false;
  void crash(ada, bob).then(() => {
    isOver = true;
  });
  // Where the page ends while it is asked, it never answers.
  void ada.say(bob, "two");
  await world.pass(5_000);
  // Where it took fewer transactions than that, the next message brings the crash about.
  for (let more = 0; more < STEPS && !isOver; more += 1) {
    void ada.say(bob, `more ${more}`);
    await world.pass(5_000);
  }
  expect(isOver).toBe(true);
  await bob.say(ada, "last");
  await world.until(async () => {
    const rows = [...(await ada.messages(bob)), ...(await bob.messages(ada))];
    return rows.every((message) => message.state === "delivered");
  }, 400);
  await world.pass(5_000);
  const said = async (reader: Person, other: Person, mine: boolean) =>
    (await reader.messages(other)).filter((each) => each.mine === mine).map((each) => each.text);
  expect(await said(bob, ada, false)).toEqual(await said(ada, bob, true));
  expect(await said(ada, bob, false)).toEqual(["last"]);
  const kinds = new Set((await bob.messages(ada)).map((message) => message.kind));
  expect([...kinds]).toEqual(["text"]);
  await world.close();
}

const steps = Array.from({ length: STEPS }, (_, at) => at + 1);

test.each(steps)(
  "the sender's page ends after %i transactions",
  async (step) => {
    await exchange((ada) => crashAfter(ada, step));
  },
  30_000,
);

test.each(steps)(
  "the recipient's page ends after %i transactions",
  async (step) => {
    await exchange((_, bob) => crashAfter(bob, step));
  },
  30_000,
);
