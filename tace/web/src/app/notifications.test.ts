import { expect, test } from "vitest";
import { DEFAULT_SETTINGS } from "../engine/initial-state";
import { sampleIdentity } from "../engine/sample";
import { type Attention, isQuiet, tellingOf } from "./notifications";

const chat = sampleIdentity(1);
const arrival = { event: "arrived", chat, request: false, ids: ["0".repeat(32)] } as const;
const contact = { muted: false, standing: "contact" } as const;
const on = { ...DEFAULT_SETTINGS, notifications: true };
const away: Attention = {
  focused: false,
  openChat: chat,
  permission: "granted",
  minutesSinceMidnight: 12 * 60,
};
const arrived = { ...arrival, ids: [...arrival.ids] };

test("who looks elsewhere is notified, even of the chat that is open", () => {
  expect(tellingOf(arrived, contact, on, away)).toBe("notify");
});

test("who looks at the page hears of other chats only, and never by the system", () => {
  const looking = { ...away, focused: true };
  expect(tellingOf(arrived, contact, on, looking)).toBe("nothing");
  expect(tellingOf(arrived, contact, on, { ...looking, openChat: null })).toBe("announce");
});

test.each([
  ["it was not asked for", { ...on, notifications: false }, contact, away],
  ["the browser refuses", on, contact, { ...away, permission: "denied" }],
  ["the browser was not asked", on, contact, { ...away, permission: "default" }],
  ["the chat is muted", on, { ...contact, muted: true }, away],
  ["the person is blocked", on, { ...contact, standing: "blocked" }, away],
  ["it is quiet", { ...on, quietFrom: 11 * 60, quietTo: 13 * 60 }, contact, away],
] as const)("nothing where %s", (_why, settings, person, attention) => {
  expect(tellingOf(arrived, person, settings, attention)).toBe("nothing");
});

test("a muted chat is not announced either", () => {
  const looking = { ...away, focused: true, openChat: null };
  expect(tellingOf(arrived, { ...contact, muted: true }, on, looking)).toBe("nothing");
});

test("a stranger who is not in the list yet counts", () => {
  expect(tellingOf({ ...arrived, request: true }, undefined, on, away)).toBe("notify");
});

test.each([
  [9, 17, 8 * 60 + 59, false],
  [9, 17, 9 * 60, true],
  [9, 17, 17 * 60, false],
  [22, 7, 23 * 60, true],
  [22, 7, 6 * 60 + 59, true],
  [22, 7, 7 * 60, false],
  [22, 7, 12 * 60, false],
  [8, 8, 3 * 60, true],
])("quiet from %d to %d, at minute %d: %s", (from, to, minute, quiet) => {
  expect(isQuiet({ quietFrom: from * 60, quietTo: to * 60 }, minute)).toBe(quiet);
});

test("without quiet hours it is never quiet", () => {
  expect(isQuiet({ quietFrom: null, quietTo: null }, 0)).toBe(false);
});
