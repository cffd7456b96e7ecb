/** Where WebSockets do not get through, the page polls; when they do again, it goes back. */

import { acquainted } from "./acquainted.ts";
import { Gate } from "./gate.ts";
import { expect, test } from "./harness.ts";

test("without WebSocket the page polls by itself, and returns to WebSocket when it can", async ({
  contexts,
  network,
  trouble,
}) => {
  trouble.allowLostNodes();
  const gate = await Gate.open();
  try {
    gate.set("tunnels-blocked");
    const { alice, bob } = await acquainted(
      { context: await contexts("alice", gate.options), url: network.node(0).url },
      { context: await contexts("bob"), url: network.node(1).url },
    );
    await alice.connected("polling");
    await alice.send("by polling");
    await bob.message("by polling").waitFor();
    await bob.send("and back");
    await alice.message("and back").waitFor();

    // The next look for WebSocket is half a minute away; some of what is said falls on the change.
    alice.page.setDefaultTimeout(90_000);
    gate.set("open");
    const back = alice.connected("connected");
    await bob.send("during the change");
    await back;
    await alice.message("during the change").waitFor();
    await alice.send("by WebSocket");
    await bob.message("by WebSocket").waitFor();
    const said = ["Hello", "Hi", "by polling", "and back", "during the change", "by WebSocket"];
    expect(await alice.texts()).toEqual(said);
    expect(await bob.texts()).toEqual(said);
    // From the first load on, nobody but the page's own node was asked for anything.
    expect([...gate.asked]).toEqual([new URL(network.node(0).url).host]);
  } finally {
    await gate.close();
  }
});
