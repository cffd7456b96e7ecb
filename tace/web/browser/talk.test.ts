/** Two people in two browsers, each at a node of their own. */

import { expect, test } from "./harness.ts";
import { Person } from "./person.ts";

/** Who said it and what; the time and the state after that are not compared. */
const spoken = (label: string): string => label.replace(/\. [^.]*$/, "");

test("from the first load to delivered in both directions, by way of Requests", async ({
  contexts,
  network,
}) => {
  const alice = await Person.begin(await contexts("alice"), network.node(0).url, "Alice");
  const bob = await Person.begin(await contexts("bob"), network.node(1).url, "Bob");
  await alice.later();
  await bob.later();
  await bob.connected("connected");

  await alice.addContact(await bob.link(), "Bobby");
  await alice.send("Hello Bob");
  await alice.reached("Hello Bob", "stored");

  await bob.requestShown();
  // Nothing of a stranger's text is shown, nowhere on the page.
  expect(await bob.page.getByText("Hello Bob").count()).toBe(0);
  await bob.acceptRequest();
  await bob.message("Hello Bob").waitFor();
  await alice.reached("Hello Bob", "delivered");

  await bob.send("Hello Alice");
  await alice.message("Hello Alice").waitFor();
  await bob.reached("Hello Alice", "delivered");

  expect((await alice.conversation()).map(spoken)).toEqual([
    "You: Hello Bob",
    "Bobby: Hello Alice",
  ]);
  expect((await bob.conversation()).map(spoken)).toEqual(["Alice: Hello Bob", "You: Hello Alice"]);
});
