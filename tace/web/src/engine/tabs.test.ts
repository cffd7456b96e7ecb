/** Two tabs of one browser on one database: one owns the ratchets, both send. */

import { afterEach, beforeEach, expect, test } from "vitest";
import { Database } from "../store/database";
import { databaseName } from "../store/testing/database";
import { Owner } from "./owner";
import { DatabaseQueries } from "./queries";
import { Tab } from "./tab";
import { Life, type Person, World } from "./testing/engines";
import { Browser } from "./testing/tabs";

let world: World;

beforeEach(() => {
  world = new World();
});

afterEach(async () => {
  await world.close();
});

/** A tab as the worker makes it. */
class OpenTab {
  readonly life = new Life();
  owner: Owner | null = null;
  private constructor(
    readonly tab: Tab,
    readonly database: Database,
  ) {}

  static async open(name: string, browser: Browser, database: string): Promise<OpenTab> {
    const opened = await Database.open(database);
    const queries = new DatabaseQueries(opened.reader);
    const tab = new Tab({
      tab: name,
      channel: browser.channel(),
      locks: browser,
      queries: async () => queries,
      own: async (tell) => {
        const ownership = await opened.own();
        const engine = await Owner.start(world.environment(open.life), opened, tell);
        open.owner = engine;
        return { engine, ownership };
      },
      tell: (event) => queries.heard(event),
    });
    const open = new OpenTab(tab, opened);
    tab.start();
    return open;
  }

  async call(name: Parameters<Tab["call"]>[0], ...args: unknown[]): Promise<unknown> {
    const outcome = await this.tab.call(name, args);
    if (!outcome.ok) throw new Error(outcome.code);
    return outcome.value;
  }

  async close(): Promise<void> {
    await this.tab.close();
    this.database.close();
  }
}

async function twoTabs(): Promise<{ first: OpenTab; second: OpenTab; bob: Person }> {
  const browser = new Browser();
  const database = databaseName();
  const first = await OpenTab.open("first", browser, database);
  const second = await OpenTab.open("second", browser, database);
  await world.pass(100);
  await first.call("create", "Ada");
  const bob = await world.person("Bob");
  await world.settled();
  const identity = first.owner?.state.me?.identity;
  const added = await second.call("addContact", bob.code, "");
  expect([identity?.length, added]).toEqual([44, bob.identity]);
  return { first, second, bob };
}

const idOf = (number: number) => number.toString(16).padStart(32, "0");

test("both send at once, and nothing is undecryptable at the other side", async () => {
  const { first, second, bob } = await twoTabs();
  await Promise.all(
    Array.from({ length: 12 }, (_, at) =>
      (at % 2 ? first : second).call("send", bob.identity, idOf(at), `text ${at}`, null),
    ),
  );
  await world.until(() => bob.owner.state.requests === 1);
  const [chat] = await bob.queries.chats();
  const identity = chat?.identity ?? "";
  const all = async () => (await bob.queries.messages(identity, { limit: 50 })).messages;
  await world.until(async () => (await all()).length === 12);
  expect((await all()).every((message) => message.kind === "text")).toBe(true);
  expect(new Set((await all()).map((message) => message.text)).size).toBe(12);
  // Either tab reads the same history from the one database.
  const page = { limit: 50 };
  expect(await second.call("messages", bob.identity, page)).toEqual(
    await first.call("messages", bob.identity, page),
  );
  await second.close();
  await first.close();
});

test("the tab that owns dies with commands under way, and the other carries them out", async () => {
  const { first, second, bob } = await twoTabs();
  const sends = Array.from({ length: 5 }, (_, at) =>
    second.call("send", bob.identity, idOf(at), `text ${at}`, null),
  );
  // Some are on the disk already, some are not; none was answered.
  await Promise.resolve();
  world.hasCrashed = true;
  first.life.end();
  first.database.close();
  void first.tab.close();
  await world.pass(1_000);
  await Promise.all(sends);
  expect(second.owner?.state.phase.at).toBe("ready");
  await world.until(() => bob.owner.state.requests === 1);
  const [chat] = await bob.queries.chats();
  const identity = chat?.identity ?? "";
  const texts = async () =>
    (await bob.queries.messages(identity, { limit: 50 })).messages.map((each) => each.text);
  await world.until(async () => (await texts()).length === 5);
  expect((await texts()).sort()).toEqual(["text 0", "text 1", "text 2", "text 3", "text 4"]);
  await second.close();
});

test("what is stored is offered again by the tab that owns alone", async () => {
  const { first, second, bob } = await twoTabs();
  await bob.close();
  await second.call("send", bob.identity, idOf(1), "are you there?", null);
  const { offers } = world.network;
  await world.until(() => offers.length > 0);
  await world.pass(2_000);
  offers.length = 0;
  await world.pass(100_000);
  expect(offers).toHaveLength(1);
  // Its next one comes when it is due, from whichever tab owns by then.
  await first.close();
  await world.pass(10_000);
  expect(offers).toHaveLength(1);
  await world.until(() => offers.length > 1, 200);
  await second.close();
});
