/** From a browser to the `tace` command and back. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tace } from "./command.ts";
import { expect, test } from "./harness.ts";
import { Person } from "./person.ts";

test("a page and a terminal talk both ways", async ({ contexts, network }) => {
  const directory = await mkdtemp(join(tmpdir(), "tace-home-"));
  try {
    const home = `--home=${join(directory, "carol")}`;
    const node = `--node=${network.node(2).url}`;
    const made = JSON.parse(await tace("identity", "new", home, "--name=Carol", "--json"));
    // From then on she can be written to.
    await tace("receive", home, node);

    const alice = await Person.begin(await contexts("alice"), network.node(0).url, "Alice");
    await alice.later();
    await alice.connected("connected");
    await alice.addContact(made.link);
    await alice.send("Hello Carol, 你好");
    await alice.reached("Hello Carol", "stored");

    const lines = (await tace("receive", home, node, "--json")).trim().split("\n");
    const received = lines.map((line) => JSON.parse(line));
    expect(received.map(({ text }) => text)).toEqual(["Hello Carol, 你好"]);
    await alice.reached("Hello Carol", "delivered");

    await tace("send", home, node, await alice.code(), "Hello page");
    await alice.message("Hello page").waitFor();
    await alice.send("And once more");
    const more = (await tace("receive", home, node, "--json")).trim().split("\n");
    expect(more.map((line) => JSON.parse(line).text)).toEqual(["And once more"]);
    await alice.reached("And once more", "delivered");
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
