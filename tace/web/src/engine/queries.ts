/** What any tab answers from the database, whoever owns the engine. */

import { contactCode, parseLink } from "../e2ee/link";
import { identityOf, parseRecoveryCode, recoveryCodeText } from "../e2ee/recovery";
import { safetyNumber } from "../e2ee/safety";
import type { Reader } from "../store/change";
import { identityPoint, identityText } from "../store/ids";
import { messageNamed, page } from "../store/messages";
import { meta } from "../store/meta";
import { outgoingOfMessage, parcelsOf } from "../store/outbox";
import type { MessageRow, PersonRow } from "../store/rows";
import { type Bytes, equal } from "../wire/bytes";
import type {
  Chat,
  ContactCard,
  ContactPreview,
  DeliveryDetails,
  EngineEvent,
  Identity,
  Message,
  MessageId,
  MessagePage,
  PageRequest,
  Queries,
  SafetyNumber,
  SearchRequest,
  SearchResult,
} from "./contract";
import { EngineError } from "./contract";
import { Search } from "./search";
import { chatView, isShown, messageView, shortCode, titleOf } from "./views";

export class DatabaseQueries implements Queries {
  private readonly searching: Search;
  /** Contact codes are hashes: made once for each person. */
  private readonly codes = new Map<Identity, string>();

  constructor(private readonly reader: Reader) {
    this.searching = new Search(reader, async (identity) => {
      const person = await reader.get("person", identity);
      return person?.standing === "contact" ? titleOf(person, await this.code(identity)) : null;
    });
  }

  /** Keeps what is held in memory fresh. */
  heard(event: EngineEvent): void {
    this.searching.heard(event);
  }

  async chats(): Promise<Chat[]> {
    const people = await this.reader.all("person");
    const shown = people.filter(isShown);
    const chats = await Promise.all(shown.map((person) => this.view(person)));
    return chats.sort((a, b) => b.activeMs - a.activeMs);
  }

  async chat(identity: Identity): Promise<Chat | null> {
    const person = await this.reader.get("person", identity);
    return person && isShown(person) ? await this.view(person) : null;
  }

  async messages(chat: Identity, request: PageRequest): Promise<MessagePage> {
    const found = await page(this.reader, chat, request);
    const messages = await Promise.all(found.messages.map((row) => this.message(row)));
    return { ...found, messages };
  }

  async details(id: MessageId): Promise<DeliveryDetails> {
    const row = await this.reader.get("message", id);
    if (!row) throw new EngineError("unknown-message");
    const contents = await outgoingOfMessage(this.reader, row.chat, id);
    const parcels = (
      await Promise.all(contents.map((content) => parcelsOf(this.reader, content.seq)))
    ).flat();
    const times = parcels.flatMap((parcel) => (parcel.nextMs === null ? [] : [parcel.nextMs]));
    const { delivery } = row;
    return {
      state: row.state,
      copies: delivery?.copies ?? 0,
      of: delivery?.of ?? 0,
      node: delivery?.node ?? null,
      storedMs: delivery?.storedMs ?? null,
      deliveredMs: delivery?.deliveredMs ?? null,
      readMs: delivery?.readMs ?? null,
      attempts: Math.max(0, ...parcels.map((parcel) => parcel.attempts)),
      nextAttemptMs: times.length ? Math.min(...times) : null,
      refusal: delivery?.refusal ?? null,
      parts: delivery?.parts ?? Math.max(1, row.partIds.length),
      expiresMs: delivery?.expiresMs ?? null,
    };
  }

  search(request: SearchRequest): Promise<SearchResult> {
    return this.searching.search(request);
  }

  async previewContact(text: string): Promise<ContactPreview> {
    const { identity: point } = await parsedLink(text);
    const identity = identityText(point);
    const code = await this.code(identity);
    const keys = await meta(this.reader, "ownKeys");
    if (keys && equal(keys.identity.point, point)) {
      const title = (await meta(this.reader, "name")) ?? "";
      return { identity, code, standing: "me", title };
    }
    const person = await this.reader.get("person", identity);
    if (!person || !isShown(person)) {
      return { identity, code, standing: "unknown", title: shortCode(code) };
    }
    return { identity, code, standing: person.standing, title: titleOf(person, code) };
  }

  async safetyNumber(identity: Identity): Promise<SafetyNumber> {
    const keys = await meta(this.reader, "ownKeys");
    if (!keys) throw new EngineError("no-identity");
    const number = await safetyNumber(keys.identity.point, identityPoint(identity));
    return { groups: [...number.groups], qr: number.qr };
  }

  async recoveryCode(): Promise<string> {
    const secret = await meta(this.reader, "recoveryCode");
    if (!secret) throw new EngineError("code-forgotten");
    return await recoveryCodeText({ secret });
  }

  async checkRecoveryCode(text: string): Promise<boolean> {
    const keys = await meta(this.reader, "ownKeys");
    if (!keys) throw new EngineError("no-identity");
    const { point } = await identityOf(await parsedCode(text));
    return equal(point, keys.identity.point);
  }

  async exportContacts(): Promise<ContactCard[]> {
    const people = await this.reader.all("person");
    const contacts = people.filter((person) => person.standing === "contact");
    return await Promise.all(
      contacts.map(async (person) => ({
        code: await this.code(person.identity),
        name: person.alias || person.name,
        verified: person.verified,
      })),
    );
  }

  async fileBytes(id: MessageId): Promise<Bytes> {
    const file = await this.reader.get("file", id);
    if (!file) throw new EngineError("no-file");
    return file.bytes;
  }

  private async view(person: PersonRow): Promise<Chat> {
    return chatView(person, await this.code(person.identity));
  }

  private async message(row: MessageRow): Promise<Message> {
    const quoted = row.replyTo && (await messageNamed(this.reader, row.chat, row.replyTo));
    // What is not shown yet is not quoted either.
    return messageView(row, quoted && quoted.place !== null ? quoted : undefined);
  }

  private async code(identity: Identity): Promise<string> {
    const known = this.codes.get(identity);
    if (known !== undefined) return known;
    const code = await contactCode(identityPoint(identity));
    this.codes.set(identity, code);
    return code;
  }
}

/** @throws EngineError bad-link */
export async function parsedLink(text: string) {
  try {
    return await parseLink(text);
  } catch (error) {
    throw new EngineError("bad-link", error instanceof Error ? error.message : "");
  }
}

/** @throws EngineError bad-recovery-code */
export async function parsedCode(text: string) {
  try {
    return await parseRecoveryCode(text);
  } catch (error) {
    throw new EngineError("bad-recovery-code", error instanceof Error ? error.message : "");
  }
}
