/** Every screen there is, in every state that looks different. */

import type { Page } from "playwright-core";
import { SETTINGS_SECTIONS } from "../src/app/route.ts";
import { sampleCode, sampleIdentity } from "../src/engine/sample.ts";

/** Of the made-up people (src/engine/sample.ts). */
const GRACE = sampleIdentity(1);
const ALAN = sampleIdentity(2);
const OMAR = sampleIdentity(3);
const EMMY = sampleIdentity(5);
const HYPATIA = sampleIdentity(6);
const BLOCKED = sampleIdentity(8);

export interface Screen {
  name: string;
  /** The state of the made-up engine (src/app/sample-engine.ts). */
  sample?: string;
  place?: string;
  /** From the place to the state. Works in any language: by roles and places, not by words. */
  steps?: (page: Page) => Promise<void>;
}

export const SCREENS: readonly Screen[] = [
  { name: "start", sample: "new" },
  { name: "start, invited", sample: "new", place: sampleCode(GRACE) },
  { name: "start, no name", sample: "new", steps: (page) => page.locator("form button").click() },
  { name: "restore", sample: "new", steps: (page) => wayBack(page, 0) },
  { name: "import", sample: "new", steps: (page) => wayBack(page, 1) },
  { name: "loading", sample: "loading" },
  { name: "blocked", sample: "blocked" },
  { name: "replaced", sample: "replaced" },
  { name: "recovery code", sample: "alone", steps: recoveryCode },
  { name: "recovery code shown", sample: "alone", steps: recoveryCodeShown },
  { name: "nobody yet", sample: "alone" },
  { name: "nobody found", sample: "alone", place: "/search", steps: (page) => find(page, "xyz") },
  { name: "no requests", sample: "alone", place: "/requests" },
  { name: "chats" },
  { name: "chats, code saved", sample: "saved" },
  { name: "chats, offline", sample: "offline" },
  { name: "conversation", place: `/chat/${GRACE}` },
  { name: "conversation, offline", sample: "offline", place: `/chat/${GRACE}` },
  { name: "conversation, unread and failed", place: `/chat/${ALAN}` },
  { name: "conversation, Arabic", place: `/chat/${OMAR}` },
  { name: "conversation, unlisted device", place: `/chat/${EMMY}` },
  { name: "conversation, request", place: `/chat/${HYPATIA}` },
  { name: "conversation, blocked", place: `/chat/${BLOCKED}` },
  { name: "conversation, gone", place: `/chat/${"A".repeat(44)}` },
  { name: "message menu", place: `/chat/${GRACE}`, steps: messageMenu },
  { name: "reply", place: `/chat/${GRACE}`, steps: (page) => fromMenu(page, 0) },
  { name: "another emoji", place: `/chat/${GRACE}`, steps: (page) => fromMenu(page, 1) },
  { name: "delete a message", place: `/chat/${GRACE}`, steps: (page) => fromMenu(page, -1) },
  {
    name: "delivery details",
    place: `/chat/${GRACE}`,
    steps: async (page) => {
      await page.locator(".message-state").last().click();
      await page.getByRole("dialog").waitFor();
    },
  },
  {
    name: "search in a chat",
    place: `/chat/${GRACE}`,
    steps: (page) => page.locator(".conversation-head > button").click(),
  },
  { name: "search", place: "/search", steps: (page) => find(page, "grapes") },
  { name: "requests", place: "/requests" },
  { name: "add a contact", place: "/add" },
  { name: "add a contact, found", place: `/add/${sampleCode(sampleIdentity(9))}` },
  { name: "add a contact, yourself", place: `/add/${sampleCode(sampleIdentity(0))}` },
  { name: "add a contact, known", place: `/add/${sampleCode(GRACE)}` },
  { name: "add a contact, no code", place: "/add/tace1short" },
  { name: "person, verified", place: `/person/${GRACE}` },
  { name: "person, new device", place: `/person/${ALAN}` },
  { name: "person, blocked", place: `/person/${BLOCKED}` },
  { name: "settings", place: "/settings" },
  ...SETTINGS_SECTIONS.map((section) => ({
    name: `settings, ${section}`,
    place: `/settings/${section}`,
  })),
  { name: "network", place: "/network" },
  { name: "network, offline", sample: "offline", place: "/network" },
];

/** Loads the page anew in that state, until it shows it whole. */
export async function show(page: Page, url: string, screen: Screen): Promise<void> {
  const { sample = "", place = "/", steps } = screen;
  // The address alone would be the same page with another hash.
  await page.goto("about:blank");
  await page.goto(`${url}?sample=${sample}#${place}`);
  await page.locator("main").waitFor();
  await settled(page);
  await steps?.(page);
  await settled(page);
}

/** Nothing is being loaded any more. */
async function settled(page: Page): Promise<void> {
  await page.waitForFunction(() => !document.querySelector(".lazy-waiting, .conversation-waiting"));
  await page.evaluate(() => document.fonts.ready.then(() => undefined));
}

async function wayBack(page: Page, which: number): Promise<void> {
  await page.locator("main button:not([type=submit])").nth(which).click();
}

async function recoveryCode(page: Page): Promise<void> {
  await page.locator(".shell-code-notice button").click();
  await page.getByRole("dialog").waitFor();
}

async function recoveryCodeShown(page: Page): Promise<void> {
  await recoveryCode(page);
  await page.locator(".recovery-code-ways button").first().click();
}

async function find(page: Page, text: string): Promise<void> {
  // On a desk the list of chats has a search of its own beside this one.
  const content = page.locator(".shell-content");
  await content.getByRole("searchbox").fill(text);
  await content.locator("mark, .empty-state").first().waitFor();
}

async function messageMenu(page: Page): Promise<void> {
  const article = page.getByRole("article").filter({ hasText: "logbook" });
  await article.hover();
  await article.locator(".message-more").click();
  await page.getByRole("menu").waitFor();
}

async function fromMenu(page: Page, item: number): Promise<void> {
  await messageMenu(page);
  await page.getByRole("menuitem").nth(item).click();
}
