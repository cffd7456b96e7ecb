/** Engines of several people on one network in memory, in one virtual time. */

import { webcrypto } from "node:crypto";
import { points } from "../../e2ee/crypto";
import type { Clock } from "../../network/clock";
import { Dialler } from "../../network/dialling";
import { VirtualClock } from "../../network/testing/clock";
import type { OpenTransport, Transport } from "../../network/transport";
import { Database } from "../../store/database";
import { databaseName } from "../../store/testing/database";
import type { Bytes } from "../../wire/bytes";
import type { Engine, EngineEvent, Message } from "../contract";
import type { Environment } from "../environment";
import { Own } from "../own";
import { Owner } from "../owner";
import { DatabaseQueries } from "../queries";
import { FakeNetwork } from "./network";
import { atRest, countCrypto } from "./quiet";

countCrypto();

export const HERE = "https://one.example";
export const ELSEWHERE = "https://two.example";

/** Whole milliseconds, as browsers give them. */
function inWhole(clock: VirtualClock): Clock {
  return {
    now: () => Math.floor(clock.now()),
    after: (milliseconds, call) => clock.after(Math.ceil(milliseconds), call),
  };
}

/** A network of two nodes. */
export class World {
  readonly virtual = new VirtualClock();
  readonly clock = inWhole(this.virtual);
  readonly network = new FakeNetwork(this.clock, points);
  readonly one = this.network.add(HERE);
  readonly two = this.network.add(ELSEWHERE);
  private readonly people: Person[] = [];
  private drawn = 0;
  hasCrashed = false;
  /** How many messages were sent by all. */
  said = 0;

  /** Uniform in [0, 1), the same in every run. */
  readonly chance = (): number => {
    this.drawn = (this.drawn * 1_103_515_245 + 12_345) % 2_147_483_648;
    return this.drawn / 2_147_483_648;
  };

  environment(life: Life): Environment {
    const { chance } = this;
    const clock = life.during(this.clock);
    const none: typeof this.network.open = (_, listener) => {
      queueMicrotask(() => listener.onClose(new Error("no polling") as never));
      return { carrier: "polling", send() {}, close() {} };
    };
    return {
      clock,
      chance,
      random: (count) => webcrypto.getRandomValues(new Uint8Array(count)),
      connecting: async () => ({
        points,
        dialler: new Dialler(life.over(this.network.open), none, clock, chance),
      }),
      here: HERE,
      storage: null,
    };
  }

  /** Somebody with a browser in which nobody has started yet. */
  async browser(): Promise<Person> {
    const person = new Person(this, databaseName());
    await person.open();
    this.people.push(person);
    return person;
  }

  /** Somebody who has. */
  async person(name: string): Promise<Person> {
    const person = await this.browser();
    await person.owner.create(name);
    await person.reload();
    return person;
  }

  /** Two who know each other. */
  async pair(): Promise<[Person, Person]> {
    const [ada, bob] = [await this.person("Ada"), await this.person("Bob")];
    await this.settled();
    await ada.owner.addContact(bob.code, "");
    await bob.owner.addContact(ada.code, "");
    return [ada, bob];
  }

  /** Lets time pass until it is so. @throws Error it is not so after that many seconds. */
  async until(isSo: () => boolean | Promise<boolean>, seconds = 120): Promise<void> {
    const end = this.clock.now() + seconds * 1000;
    for (;;) {
      await atRest();
      if (await isSo()) return;
      if (this.clock.now() >= end) throw new Error("it did not come about in time");
      await this.virtual.advance(100);
    }
  }

  /** Lets that much time pass. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.clock.now() + milliseconds;
    while (this.clock.now() < end) {
      await this.virtual.advance(Math.min(100, end - this.clock.now()));
      await atRest();
    }
  }

  /** Lets time pass without a look at what it brings about on the way. */
  async skip(milliseconds: number): Promise<void> {
    await this.virtual.advance(milliseconds);
  }

  /** Everybody is connected and has published. */
  async settled(): Promise<void> {
    await this.until(() => this.people.every((person) => person.isSettled));
    await this.pass(1000);
  }

  /** @throws Error a timer is left: something goes on after everybody has closed. */
  async close(): Promise<void> {
    for (const person of this.people) await person.close();
    await atRest();
    // What a crash cuts off has no chance to tidy up.
    if (this.virtual.pending && !this.hasCrashed)
      throw new Error(`${this.virtual.pending} timers are left`);
  }
}

/** The life of one page: when it ends nothing of it goes on, whatever it was about to do. */
export class Life {
  private isOver = false;
  private readonly links = new Set<Transport>();

  end(): void {
    this.isOver = true;
    for (const link of this.links) link.close();
  }

  during(clock: Clock): Clock {
    return {
      now: () => clock.now(),
      after: (milliseconds, call) => clock.after(milliseconds, () => this.isOver || call()),
    };
  }

  over(open: OpenTransport): OpenTransport {
    return (address, listener) => {
      const link = open(address, {
        onMessage: (data) => this.isOver || listener.onMessage(data),
        onClose: (reason) => this.isOver || listener.onClose(reason),
      });
      this.links.add(link);
      return link;
    };
  }
}

/** One browser: its database and the engine on it. */
export class Person {
  owner!: Owner;
  queries!: DatabaseQueries;
  readonly events: EngineEvent[] = [];
  private database!: Database;
  private life = new Life();
  private mailbox: Bytes | null = null;

  constructor(
    readonly world: World,
    readonly name: string,
  ) {}

  async open(): Promise<void> {
    this.life = new Life();
    this.database = await Database.open(this.name);
    await this.database.own();
    this.queries = new DatabaseQueries(this.database.reader);
    this.owner = await Owner.start(this.world.environment(this.life), this.database, (event) => {
      this.events.push(event);
      this.queries.heard(event);
    });
    this.mailbox = (await Own.load(this.database.reader))?.contactsMailbox ?? null;
  }

  /** The page is closed in good order, and opened again. */
  async reload(): Promise<void> {
    await this.close();
    await this.open();
  }

  async close(): Promise<void> {
    await this.owner.close();
    await atRest();
    this.database.close();
  }

  /** The page is gone, in the middle of whatever it did; and opened again. */
  async crash(): Promise<void> {
    this.world.hasCrashed = true;
    this.life.end();
    this.database.close();
    await this.open();
  }

  get stored(): Database {
    return this.database;
  }

  /** Where contacts write to. */
  get contactsMailbox(): Bytes {
    if (!this.mailbox) throw new Error("nobody has started here");
    return this.mailbox;
  }

  get identity(): string {
    return this.owner.state.me?.identity ?? "";
  }

  get code(): string {
    return this.owner.state.me?.code ?? "";
  }

  get isSettled(): boolean {
    const { phase, connection } = this.owner.state;
    return phase.at !== "ready" || connection.at === "connected";
  }

  /** Sends, and gives the message's id. */
  async say(to: Person, text: string, replyTo: string | null = null): Promise<string> {
    this.world.said += 1;
    const own = Buffer.from(this.identity).toString("hex").slice(4, 24);
    const id = own + this.world.said.toString(16).padStart(12, "0");
    await this.owner.send(to.identity, id, text, replyTo);
    return id;
  }

  async messages(other: Person): Promise<Message[]> {
    return (await this.queries.messages(other.identity, { limit: 1000 })).messages;
  }

  async texts(other: Person): Promise<string[]> {
    return (await this.messages(other)).map((message) => message.text);
  }

  async message(id: string): Promise<Message | undefined> {
    for (const chat of await this.queries.chats()) {
      const { messages } = await this.queries.messages(chat.identity, { limit: 1000 });
      const found = messages.find((message) => message.id === id);
      if (found) return found;
    }
    return undefined;
  }
}

export type { Engine };
