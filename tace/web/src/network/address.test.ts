import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BadAddress, NodeAddress } from "./address";

const HERE = "https://here.example";

describe("the address of a node", () => {
  it.each([
    ["http://host:80", "http://host", "ws://host/v1/socket"],
    ["ws://HOST/", "http://host", "ws://host/v1/socket"],
    [" wss://host:443/v1/socket ", "https://host", "wss://host/v1/socket"],
    ["https://host:8443", "https://host:8443", "wss://host:8443/v1/socket"],
    ["http://host:443", "http://host:443", "ws://host:443/v1/socket"],
    ["http://[2001:DB8::1]:8080", "http://[2001:db8::1]:8080", "ws://[2001:db8::1]:8080/v1/socket"],
  ])("%s", (text, origin, socket) => {
    const address = NodeAddress.parse(text);
    expect([address.origin, address.socketUrl]).toEqual([origin, socket]);
    expect(address.urlOf("/v1/poll")).toBe(`${origin}/v1/poll`);
  });

  it.each([
    "",
    "host",
    "host:8080",
    "ftp://host",
    "javascript:alert(1)",
    "https:host",
    "https://",
    "https://user@host",
    "https://user:word@host",
    "https://host/path",
    "https://host/?query",
    "https://host/#fragment",
    "https://host:0",
    "https://host:65536",
    "https://host:port",
    `https://${"a".repeat(200)}`,
  ])("is not %j", (text) => {
    expect(() => NodeAddress.parse(text)).toThrow(BadAddress);
  });

  it.each([
    ["https://far.example", true],
    ["http://far.example", false],
    ["http://localhost:8080", true],
    ["http://127.0.0.1:8080", true],
    ["http://127.0.0.1.far.example", false],
    ["http://localhost.far.example", false],
  ])("%s reachable from a page: %s", (text, reachable) => {
    expect(NodeAddress.parse(text).reachableFrom(HERE)).toBe(reachable);
  });

  it("is one or a BadAddress, whatever is written, and its origin says the same", () => {
    const hosts = fc.oneof(fc.webAuthority({ withPort: true }), fc.ipV6(), fc.string());
    const schemes = fc.constantFrom("http://", "https://", "ws://", "WSS://", "", "//");
    fc.assert(
      fc.property(schemes, hosts, (scheme, host) => {
        let address: NodeAddress;
        try {
          address = NodeAddress.parse(scheme + host);
        } catch (error) {
          expect(error).toBeInstanceOf(BadAddress);
          return;
        }
        expect(NodeAddress.parse(address.origin).origin).toBe(address.origin);
        expect(NodeAddress.parse(address.socketUrl).origin).toBe(address.origin);
      }),
      { seed: 4, numRuns: 500 },
    );
  });

  it("is reachable from its own page", () => {
    expect(NodeAddress.parse("http://node.local").reachableFrom("http://node.local")).toBe(true);
  });
});
