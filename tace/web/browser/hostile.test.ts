/** Whatever somebody writes or calls themselves is text, or refused before it is sent. */

import { acquainted } from "./acquainted.ts";
import { expect, test } from "./harness.ts";
import { t } from "./person.ts";

const HTML =
  '<img src="https://evil.example/x.png" onerror="alert(1)"><script>alert(2)</script>' +
  '<b>bold</b><a href="javascript:alert(3)">link</a> https://evil.example/';
const OVERRIDE = "abc\u202Egnp.exe\u202C and \u2066isolated";
const INVISIBLE = "in\u200B\u200C\u200D\u2060visible\u00AD";
const EMOJI = "👩🏽‍🚀🏳️‍🌈🇩🇪 e\u0301\u0327\u0308 Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢";

test("HTML, overrides, invisible characters and emoji are shown as text", async ({
  contexts,
  network,
}) => {
  const asked: string[] = [];
  const context = await contexts("bob");
  context.on("request", (request) => asked.push(new URL(request.url()).host));
  const { alice, bob } = await acquainted(
    { context: await contexts("alice"), url: network.node(0).url },
    { context, url: network.node(1).url },
  );
  await alice.at("settings/profile");
  const name = alice.page.getByRole("textbox", { name: t("settings.profile.name") });
  await name.fill('<i>A</i>\u202Elice"');
  await name.press("Enter");
  await alice.page.goBack();
  for (const text of [HTML, OVERRIDE, INVISIBLE, EMOJI]) {
    await alice.type(text);
    await alice.press(t("chat.composer.send"));
  }
  await bob.page.getByRole("article").nth(5).waitFor();
  const [html, override, invisible, emoji] = (await bob.texts()).slice(2);
  expect(html).toBe(HTML);
  // An override does nothing and is named; what cannot be seen is shown to be there.
  expect(override).not.toMatch(/[\u202A-\u202E\u2066-\u2069]/);
  expect(override).toContain("gnp.exe");
  expect(invisible).not.toMatch(/[\u200B\u2060]/);
  expect(emoji).toContain("👩🏽‍🚀");
  // The name that came with them is one line of text, as well; what turns it round is named.
  const who = bob.page.locator(".conversation-who").filter({ hasText: "<i>A</i>" });
  await who.waitFor();
  expect(await who.textContent()).not.toMatch(/[\u202A-\u202E]/);
  expect(await bob.home.locator("i, img, script").count()).toBe(0);
  const list = bob.page.getByRole("main");
  expect(await list.locator("article :is(img, script, a, b, iframe)").count()).toBe(0);
  expect(new Set(asked)).toEqual(new Set([new URL(network.node(1).url).host]));
});

test("a pasted text of 100 kB is refused with its reason, and stays in the field", async ({
  contexts,
  network,
}) => {
  const { alice, bob } = await acquainted(
    { context: await contexts("alice"), url: network.node(0).url },
    { context: await contexts("bob"), url: network.node(1).url },
  );
  const long = "0123456789".repeat(10_000);
  await alice.type(long);
  await alice.page.keyboard.press("Enter");
  await alice.page
    .getByText(/Too long/)
    .first()
    .waitFor();
  expect(await alice.typed()).toBe(long);
  // What fits in parts says in how many, and arrives whole.
  const parts = "abcdefghij".repeat(2_000);
  await alice.type(parts);
  await alice.page.getByText(/Goes in \S*\d+\S* messages/).waitFor();
  await alice.press(t("chat.composer.send"));
  await bob.page.getByRole("article").nth(2).waitFor();
  await bob.press("Show all, 20,000 characters");
  expect((await bob.texts()).at(-1)).toBe(parts);
});
