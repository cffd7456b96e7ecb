/** Two people who know each other already, with the chat open on both sides. */

import type { BrowserContext } from "playwright-core";
import { Person } from "./person.ts";

export interface Place {
  context: BrowserContext;
  url: string;
}

/** Alice has added Bob and said "Hello"; Bob has accepted and answered "Hi". */
export async function acquainted(
  first: Place,
  second: Place,
): Promise<{ alice: Person; bob: Person }> {
  const alice = await Person.begin(first.context, first.url, "Alice");
  const bob = await Person.begin(second.context, second.url, "Bob");
  await alice.later();
  await bob.later();
  await bob.connected("connected");
  await alice.addContact(await bob.link());
  await alice.send("Hello");
  await bob.acceptRequest();
  await bob.message("Hello").waitFor();
  await bob.send("Hi");
  await alice.message("Hi").waitFor();
  await alice.reached("Hello", "delivered");
  await bob.reached("Hi", "delivered");
  return { alice, bob };
}
