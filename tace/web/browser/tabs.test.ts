/** Two tabs of one browser share one identity, one set of ratchets and one history. */

import { acquainted } from "./acquainted.ts";
import { expect, test } from "./harness.ts";
import { Person } from "./person.ts";

test("two tabs send at once, one is closed in the middle: all is readable at the other side", async ({
  contexts,
  network,
}) => {
  const context = await contexts("alice");
  const { alice: first, bob } = await acquainted(
    { context, url: network.node(0).url },
    { context: await contexts("bob"), url: network.node(1).url },
  );
  const second = await Person.back(context, network.node(0).url, "Alice");
  await second.openChat("Bob");
  await second.message("Hi").waitFor();
  const texts = (whose: string, from: number, to: number): string[] =>
    Array.from({ length: to - from }, (_, index) => `${whose} ${from + index}.`);
  const say = async (tab: Person, all: string[]): Promise<void> => {
    for (const text of all) await tab.send(text);
  };
  await Promise.all([say(first, texts("first", 0, 20)), say(second, texts("second", 0, 20))]);
  // The tab that was there first owns the ratchets. It goes while the other one sends.
  const going = first.page.close();
  await Promise.all([going, say(second, texts("second", 20, 30))]);
  for (const text of [...texts("first", 0, 20), ...texts("second", 0, 30)]) {
    await bob.message(text).waitFor();
    await second.reached(text, "delivered");
  }
  const shown = (await bob.texts()).slice(2);
  expect(shown.filter((text) => text.startsWith("first"))).toEqual(texts("first", 0, 20));
  expect(shown.filter((text) => text.startsWith("second"))).toEqual(texts("second", 0, 30));
  expect(shown).toHaveLength(50);
  await bob.send("All there");
  await second.message("All there").waitFor();
});
