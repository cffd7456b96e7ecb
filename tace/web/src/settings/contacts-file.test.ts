import { expect, test } from "vitest";
import { sampleCode, sampleIdentity } from "../engine/sample";
import { readContacts, writeContacts } from "./contacts-file";

const code = sampleCode(sampleIdentity(1));

test("what was written is read, but nobody else's word on who is verified", () => {
  const text = writeContacts([{ code, name: "Grace", verified: true }]);
  expect(readContacts(text)).toEqual([{ code, name: "Grace", verified: false }]);
});

test("a name is cut to what names may have", () => {
  const text = writeContacts([{ code, name: "ß".repeat(500), verified: false }]);
  expect(readContacts(text)[0]?.name).toHaveLength(64);
});

test.each([
  "",
  "{",
  "null",
  "[]",
  '{"format":"tace contacts","version":2,"contacts":[]}',
  '{"format":"other","version":1,"contacts":[]}',
  '{"format":"tace contacts","version":1,"contacts":{}}',
  '{"format":"tace contacts","version":1,"contacts":[{"code":1,"name":""}]}',
  '{"format":"tace contacts","version":1,"contacts":[null]}',
])("%j is refused", (text) => {
  expect(() => readContacts(text)).toThrow("bad-contacts");
});
