/** Where in the client one is: what stands behind the "#" of the address. */

import { type ReadonlySignal, signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Identity } from "../engine/contract";

export const SETTINGS_SECTIONS = [
  "profile",
  "appearance",
  "notifications",
  "privacy",
  "history",
  "storage",
  "shortcuts",
  "about",
  "forget",
] as const;

export type SettingsSection = (typeof SETTINGS_SECTIONS)[number];

export type Route =
  | { at: "chats" }
  | { at: "chat"; identity: Identity /** To jump to. */; message: string | null }
  | { at: "requests" }
  /** `code`: from a link, to be looked at before anything happens. */
  | { at: "add"; code: string | null }
  | { at: "person"; identity: Identity }
  | { at: "search" }
  | { at: "settings"; section: SettingsSection | null }
  | { at: "network" };

const IDENTITY = /^[A-Za-z0-9_-]{44}$/;
const MESSAGE = /^[0-9a-f]{32}$/;
/** Any case: a link in capitals makes a smaller QR code. The engine says whether it is sound. */
const CODE = /^tace1[a-z0-9]{1,200}$/i;

/** What an address says; an unknown one is the list of chats. */
export function parseRoute(hash: string): Route {
  const path = hash.replace(/^#/, "");
  if (CODE.test(path)) return { at: "add", code: path };
  const [first = "", second = "", third = ""] = path.replace(/^\//, "").split("/");
  const identity = IDENTITY.test(second) ? second : null;
  switch (first) {
    case "chat": {
      const message = MESSAGE.test(third) ? third : null;
      return identity ? { at: "chat", identity, message } : { at: "chats" };
    }
    case "person":
      return identity ? { at: "person", identity } : { at: "chats" };
    case "requests":
    case "search":
    case "network":
      return { at: first };
    case "add":
      return { at: "add", code: CODE.test(second) ? second : null };
    case "settings":
      return { at: "settings", section: SETTINGS_SECTIONS.find((name) => name === second) ?? null };
    default:
      return { at: "chats" };
  }
}

/** The address of a place, with its "#". */
export function hrefOf(route: Route): string {
  switch (route.at) {
    case "chats":
      return "#/";
    case "chat":
      return `#/chat/${route.identity}${route.message ? `/${route.message}` : ""}`;
    case "person":
      return `#/person/${route.identity}`;
    case "add":
      return route.code ? `#/add/${route.code}` : "#/add";
    case "settings":
      return route.section ? `#/settings/${route.section}` : "#/settings";
    default:
      return `#/${route.at}`;
  }
}

/** The chat that is on the screen, if one is. */
export function chatOf(route: Route): Identity | null {
  return route.at === "chat" || route.at === "person" ? route.identity : null;
}

/** What the router needs of a window. */
export interface Address {
  readonly location: { hash: string };
  readonly history: { replaceState(data: unknown, unused: string, url: string): void };
  addEventListener(type: "hashchange", listener: () => void): void;
}

export class Router {
  private readonly current;

  constructor(private readonly address: Address) {
    this.current = signal(parseRoute(address.location.hash));
    address.addEventListener("hashchange", () => this.read());
  }

  get route(): ReadonlySignal<Route> {
    return this.current;
  }

  go(route: Route): void {
    this.address.location.hash = hrefOf(route);
  }

  /** Without a step for "back": where the place that one was at is gone. */
  replace(route: Route): void {
    this.address.history.replaceState(null, "", hrefOf(route));
    this.read();
  }

  private read(): void {
    this.current.value = parseRoute(this.address.location.hash);
  }
}

const RouterContext = createContext<Router | null>(null);
export const RouterProvider = RouterContext.Provider;

/** @throws Error outside the application. */
export function useRouter(): Router {
  const router = useContext(RouterContext);
  if (!router) throw new Error("no RouterProvider");
  return router;
}
