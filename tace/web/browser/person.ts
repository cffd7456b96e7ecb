/**
 * A person at a page: what they would do and see, by the names that a screen reader has for it.
 *
 * The words come from the page's own English catalogue, so that a new wording breaks no test. Nothing
 * waits for a time: each step waits for what it needs to see.
 */

import type { BrowserContext, Locator, Page } from "playwright-core";
import { I18n } from "../src/app/i18n";

const english = new I18n();
await english.need("settings");
/** The words of the page. */
export const { t } = english;
const LINK = /#tace1[0-9a-z]+$/;
/** What the page puts round names and texts, so that their direction stays within. */
const ISOLATES = "[\\u2068\\u2069]";
/** Who has come further has been there. */
const STORED = ["stored", "delivered", "read"] as const;
const DELIVERED = ["delivered", "read"] as const;

export class Person {
  private constructor(
    readonly page: Page,
    readonly name: string,
  ) {}

  /** From the first load of a node's page to the list of chats. */
  static async begin(context: BrowserContext, url: string, name: string): Promise<Person> {
    const person = new Person(await context.newPage(), name);
    await person.page.goto(url);
    await person.page.getByRole("textbox", { name: t("app.start.name") }).fill(name);
    await person.page.getByRole("button", { name: t("app.start.go"), exact: true }).click();
    await person.dialog(t("app.code.title")).waitFor();
    return person;
  }

  /** Somebody who is here already: after a reload, in another tab, in a browser opened again. */
  static async back(context: BrowserContext, url: string, name: string): Promise<Person> {
    const person = new Person(await context.newPage(), name);
    await person.page.goto(url);
    await person.home.waitFor();
    return person;
  }

  /** On the first page, before anything was chosen. */
  static async atStart(context: BrowserContext, url: string, name: string): Promise<Person> {
    const person = new Person(await context.newPage(), name);
    await person.page.goto(url);
    await person.page.getByRole("textbox", { name: t("app.start.name") }).waitFor();
    return person;
  }

  /** Comes back with the recovery code alone. */
  async restore(code: string): Promise<void> {
    await this.press(t("app.start.have-code"));
    await this.page.getByRole("textbox", { name: t("app.restore.code") }).fill(code);
    await this.page.getByRole("textbox", { name: t("app.start.name") }).fill(this.name);
    await this.press(t("app.restore.go"));
    await this.home.waitFor();
  }

  /** Opens what was put off, and saves the recovery code; then the page of exports is open. */
  async saveCodeLater(): Promise<string> {
    await this.at("settings/storage");
    await this.button(t("app.code.open")).first().click();
    return await this.saveRecoveryCode();
  }

  /** What a button gives to download, as a file. */
  async download(button: string, path: string): Promise<void> {
    const [download] = await Promise.all([
      this.page.waitForEvent("download"),
      this.button(button).click(),
    ]);
    await download.saveAs(path);
  }

  /** The recovery code is not kept now: it stays to be had. */
  async later(): Promise<void> {
    const dialog = this.dialog(t("app.code.title"));
    await dialog.getByRole("button", { name: t("app.code.later") }).click();
    await dialog.waitFor({ state: "detached" });
  }

  /** Reads the recovery code and says, with its end typed as a proof, that it is saved. */
  async saveRecoveryCode(): Promise<string> {
    const dialog = this.dialog(t("app.code.title"));
    await dialog.getByRole("button", { name: t("app.code.show") }).click();
    // Its groups are told apart by place alone, which no role names.
    const groups = await dialog.locator(".recovery-code-group").allTextContents();
    await dialog.getByLabel(t("app.code.check")).fill(groups.slice(-2).join(" "));
    await dialog.getByRole("button", { name: t("app.code.saved") }).click();
    await dialog.waitFor({ state: "detached" });
    return groups.join("-");
  }

  /** The link by which others write to this person. */
  async link(): Promise<string> {
    await this.at("settings/profile");
    const text = await this.page.getByText(LINK).first().textContent();
    return text?.trim() ?? "";
  }

  /** Until the status line says so. */
  async connected(how: "connected" | "polling" | "connecting" | "offline"): Promise<void> {
    await this.page.getByRole("link", { name: t(`app.status.${how}`) }).waitFor();
  }

  /** Goes to a place of the page without loading it anew. */
  async at(place: string): Promise<void> {
    await this.page.evaluate((hash) => {
      location.hash = hash;
    }, `#/${place}`);
  }

  /** Looks who it is, and adds them; the chat is open then. */
  async addContact(link: string, alias = ""): Promise<void> {
    await this.at("add");
    await this.page.getByRole("textbox", { name: t("contacts.add.field") }).fill(link);
    await this.button(t("contacts.add.look")).click();
    const found = this.page.getByRole("region", { name: t("contacts.add.whom") });
    await found.getByRole("textbox", { name: t("contacts.add.alias") }).fill(alias);
    await found.getByRole("button", { name: t("contacts.add.go"), exact: true }).click();
    await this.composer.waitFor();
  }

  /** Looks at Requests, until one stranger at least waits there. */
  async requestShown(): Promise<void> {
    await this.at("requests");
    await this.button(t("contacts.requests.accept")).first().waitFor();
  }

  /** Accepts the only stranger who waits; the chat is open then. */
  async acceptRequest(): Promise<void> {
    await this.requestShown();
    await this.button(t("contacts.requests.accept")).click();
    await this.composer.waitFor();
  }

  /** Opens a chat from the list. */
  async openChat(title: string): Promise<void> {
    await this.home.getByRole("link").filter({ hasText: title }).click();
    await this.composer.waitFor();
  }

  /** Types into the open chat, and sends. */
  async send(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.button(t("chat.composer.send")).click();
    await this.message(text).waitFor();
  }

  /** A message of the open chat, by what it says. */
  message(text: string): Locator {
    return this.page.getByRole("article").filter({ hasText: text });
  }

  /** Until a message of this person's has come so far; "delivered" is also one that was read. */
  async reached(text: string, state: "stored" | "delivered" | "failed"): Promise<void> {
    const states = { stored: STORED, delivered: DELIVERED, failed: ["failed"] } as const;
    const words = states[state].map((key) => t(`chat.state.${key}`)).join("|");
    await this.page
      .getByRole("article", { name: new RegExp(`(${words})${ISOLATES}*$`) })
      .filter({ hasText: text })
      .waitFor();
  }

  /** What the open chat shows, in order, as it is read out: "Bob: Hello. 10:15". */
  async conversation(): Promise<string[]> {
    const articles = await this.page.getByRole("article").all();
    const labels = await Promise.all(articles.map((each) => each.getAttribute("aria-label")));
    return labels.map((label) => (label ?? "").replaceAll(new RegExp(ISOLATES, "g"), ""));
  }

  /** Chooses from the menu of a message of the open chat. */
  async choose(message: string, item: string): Promise<void> {
    const row = this.message(message);
    await row.hover();
    await row.locator(".message-more").click();
    await this.page.getByRole("menuitem", { name: item, exact: true }).click();
  }

  /** Opens what there is to know of the person whose chat is open. */
  async aboutThem(): Promise<void> {
    await this.page.locator(".conversation-who").click();
    await this.page.getByRole("heading", { name: t("contacts.safety.title") }).waitFor();
  }

  /** The twelve groups of the safety number, on the page about somebody. */
  async safetyNumber(): Promise<string[]> {
    const groups = this.page.getByRole("list", { name: t("contacts.safety.number") });
    await groups.waitFor();
    return await groups.getByRole("listitem").allTextContents();
  }

  /** Presses a button, by its name. */
  async press(name: string): Promise<void> {
    await this.button(name).click();
  }

  /** Gives a file to a button that asks for one. */
  async chooseFile(button: string, path: string): Promise<void> {
    const [chooser] = await Promise.all([
      this.page.waitForEvent("filechooser"),
      this.button(button).click(),
    ]);
    await chooser.setFiles(path);
  }

  /** The texts of the open chat, in order. */
  async texts(): Promise<string[]> {
    const texts = await this.page.locator(".message-text").allTextContents();
    return texts.map((text) => text.trim());
  }

  /** Types into the open chat, and does not send. */
  async type(text: string): Promise<void> {
    await this.composer.fill(text);
  }

  /** What stands in the composer. */
  async typed(): Promise<string> {
    return await this.composer.inputValue();
  }

  /** `tace1...`, by which others write to this person. */
  async code(): Promise<string> {
    const link = await this.link();
    await this.page.goBack();
    return link.slice(link.indexOf("#") + 1);
  }

  /** Until the page says that its node does not answer, and that it goes on with another. */
  async failedOver(): Promise<void> {
    const [, words] = t("app.status.failover", { from: "|", to: "|" }).split("|");
    const plain = words?.replaceAll(new RegExp(ISOLATES, "g"), "").trim() ?? "";
    await this.page.getByText(plain).waitFor();
  }

  /** Until a reload needs no node. */
  async keptByServiceWorker(): Promise<void> {
    await this.page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  }

  private get composer(): Locator {
    return this.page.getByPlaceholder(t("chat.composer.placeholder"), { exact: true });
  }

  private button(name: string): Locator {
    return this.page.getByRole("button", { name, exact: true });
  }

  get home(): Locator {
    return this.page.getByRole("navigation", { name: t("app.nav.chats") });
  }

  private dialog(title: string): Locator {
    return this.page.getByRole("dialog", { name: title });
  }
}
