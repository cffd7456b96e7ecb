import { expect, test } from "vitest";
import { fromHex, hex } from "../wire/bytes";
import { Label } from "../wire/digest";
import { E2eeLabel } from "./labels";
import { messageSecrets, stepChain, stepRoot } from "./ratchet";
import { load } from "./testing/vectors";

const given = load<{
  labels: Readonly<Record<string, string>>;
  ratchet_root: Readonly<
    Record<"root" | "shared" | "next_root" | "chain_key" | "header_key", string>
  >;
  ratchet_chain: Readonly<Record<"chain_key" | "message_key" | "next_chain_key", string>>;
  ratchet_message: Readonly<Record<"message_key" | "salt" | "key" | "nonce", string>>;
}>("e2ee/labels.json");

test("the labels are those of the file", () => {
  expect(E2eeLabel).toMatchObject(given.labels);
});

test("no label starts another one", () => {
  const all: string[] = [...Object.values(E2eeLabel), ...Object.values(Label)];
  for (const [at, label] of all.entries()) {
    expect(all.filter((other, place) => place !== at && other.startsWith(label))).toEqual([]);
  }
});

test("root, chain and message keys derive as written", async () => {
  const { ratchet_root: root, ratchet_chain: chain, ratchet_message: message } = given;
  const stepped = await stepRoot(fromHex(root.root), fromHex(root.shared));
  expect(hex(stepped.root)).toBe(root.next_root);
  expect(hex(stepped.chainKey)).toBe(root.chain_key);
  expect(hex(stepped.nextHeader)).toBe(root.header_key);
  const next = await stepChain(fromHex(chain.chain_key));
  expect(hex(next.messageKey)).toBe(chain.message_key);
  expect(hex(next.chainKey)).toBe(chain.next_chain_key);
  const secrets = await messageSecrets(fromHex(message.message_key), fromHex(message.salt));
  expect([hex(secrets.key), hex(secrets.nonce)]).toEqual([message.key, message.nonce]);
});
