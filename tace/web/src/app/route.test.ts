import { expect, test } from "vitest";
import { sampleCode, sampleIdentity } from "../engine/sample";
import { type Address, hrefOf, parseRoute, type Route, Router } from "./route";

const identity = sampleIdentity(1);
const code = sampleCode(identity);
const message = "00ff".repeat(8);

const ROUTES: Route[] = [
  { at: "chats" },
  { at: "chat", identity, message: null },
  { at: "chat", identity, message },
  { at: "requests" },
  { at: "add", code: null },
  { at: "add", code },
  { at: "person", identity },
  { at: "search" },
  { at: "settings", section: null },
  { at: "settings", section: "storage" },
  { at: "network" },
];

test.each(ROUTES)("an address leads back to $at", (route) => {
  expect(parseRoute(hrefOf(route))).toEqual(route);
});

test("a link opens adding, in any case of its letters", () => {
  expect(parseRoute(`#${code}`)).toEqual({ at: "add", code });
  expect(parseRoute(`#${code.toUpperCase()}`)).toEqual({ at: "add", code: code.toUpperCase() });
});

test.each([
  "",
  "#",
  "#/nowhere",
  "#/chat/",
  "#/chat/short",
  "#/chat/<script>",
  `#/person/${identity}x`,
  `#tace1${"q".repeat(500)}`,
])("%j is the list of chats", (hash) => {
  expect(parseRoute(hash)).toEqual({ at: "chats" });
});

test("an unknown section or message is left out", () => {
  expect(parseRoute("#/settings/taxes")).toEqual({ at: "settings", section: null });
  expect(parseRoute(`#/chat/${identity}/zz`)).toEqual({ at: "chat", identity, message: null });
});

class FakeAddress implements Address {
  private listener = () => {};
  steps = 0;
  private current = "";
  readonly location: { hash: string };
  readonly history = {
    replaceState: (_data: unknown, _unused: string, url: string) => {
      this.current = url;
    },
  };

  constructor() {
    const address = this;
    this.location = {
      get hash() {
        return address.current;
      },
      set hash(value) {
        address.current = value;
        address.steps += 1;
        address.listener();
      },
    };
  }

  addEventListener(_type: "hashchange", listener: () => void): void {
    this.listener = listener;
  }
}

test("the router follows the address, and replaces without a step back", () => {
  const address = new FakeAddress();
  const router = new Router(address);
  expect(router.route.value).toEqual({ at: "chats" });
  router.go({ at: "requests" });
  expect(router.route.value).toEqual({ at: "requests" });
  router.replace({ at: "chat", identity, message: null });
  expect(router.route.value).toEqual({ at: "chat", identity, message: null });
  expect(address.steps).toBe(1);
});
