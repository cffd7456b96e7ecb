/** The node that somebody's page uses is killed, as by a power cut. */

import { acquainted } from "./acquainted.ts";
import { expect, test } from "./harness.ts";
import { LocalNetwork } from "./network.ts";

test("when its node is killed the page says so, goes to another, and all arrive once in order", async ({
  contexts,
  trouble,
}) => {
  // A network of its own: the others go on with theirs.
  const network = await LocalNetwork.start({ nodes: 5 });
  try {
    trouble.allowLostNodes();
    const { alice, bob } = await acquainted(
      { context: await contexts("alice"), url: network.node(0).url },
      { context: await contexts("bob"), url: network.node(1).url },
    );
    const said: string[] = [];
    const say = async (round: number): Promise<void> => {
      await alice.send(`alice ${round}`);
      await bob.send(`bob ${round}`);
      said.push(`alice ${round}`, `bob ${round}`);
    };
    for (let round = 0; round < 3; round += 1) await say(round);
    const noticed = alice.failedOver();
    network.kill(0);
    // What is said while nobody has noticed, and what after.
    for (let round = 3; round < 8; round += 1) await say(round);
    await noticed;
    await alice.connected("connected");
    for (let round = 8; round < 10; round += 1) await say(round);
    for (const text of said) {
      const [sender, other] = text.startsWith("alice") ? [alice, bob] : [bob, alice];
      await other.message(text).waitFor();
      await sender.reached(text, "delivered");
    }
    for (const person of [alice, bob]) {
      const shown = await person.texts();
      for (const whose of ["alice", "bob"]) {
        const theirs = shown.filter((text) => text.startsWith(whose));
        expect(theirs).toEqual(said.filter((text) => text.startsWith(whose)));
      }
    }
  } finally {
    await network.stop();
  }
});
