/** From a browser to the `tace` command and back. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Following, tace } from "./command.ts";
import { expect, test } from "./harness.ts";
import { Person, t } from "./person.ts";

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

test("a terminal that follows is told of reactions, edits, replies and deletions", async ({
  contexts,
  network,
}) => {
  const directory = await mkdtemp(join(tmpdir(), "tace-home-"));
  const home = `--home=${join(directory, "carol")}`;
  const node = `--node=${network.node(2).url}`;
  const made = JSON.parse(await tace("identity", "new", home, "--name=Carol", "--json"));
  await tace("receive", home, node);
  const carol = new Following("receive", home, node, "--follow", "--json");
  try {
    const alice = await Person.begin(await contexts("alice"), network.node(0).url, "Alice");
    await alice.later();
    await alice.connected("connected");
    await alice.addContact(made.link);
    await alice.send("Shall we meat?");
    const first = await carol.next();
    expect(first).toMatchObject({ kind: "text", name: "Alice", text: "Shall we meat?" });

    await alice.choose("Shall we meat?", t("chat.message.edit"));
    await alice.type("Shall we meet?");
    await alice.page.keyboard.press("Enter");
    expect(await carol.next()).toMatchObject({ target: first.id, text: "Shall we meet?" });

    await tace("send", home, node, await alice.code(), "At the lake");
    const answer = alice.message("At the lake");
    await answer.hover();
    await answer.locator(".message-more").click();
    await alice.page.getByRole("menuitemcheckbox").first().click();
    const reaction = await carol.next();
    expect(reaction).toMatchObject({ kind: "reaction" });
    expect(reaction.emoji).not.toBe("");

    await alice.choose("At the lake", t("chat.message.reply"));
    await alice.send("I know it");
    const reply = await carol.next();
    expect(reply).toMatchObject({ kind: "text", text: "I know it" });

    await alice.choose("I know it", t("chat.message.delete"));
    await alice.page.getByRole("button", { name: t("chat.message.delete"), exact: true }).click();
    expect(await carol.next()).toMatchObject({ target: reply.id });
    expect(await carol.stop()).toBe(0);
  } finally {
    await carol.stop();
    await rm(directory, { recursive: true, force: true });
  }
});
