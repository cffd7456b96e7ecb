/** A node with TLS: HTTP/2 for the page and polling, and the WebSocket beside it. */

import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium, type Page } from "playwright-core";
import { CONTEXT, launchOptions } from "./chromium.ts";
import { expect, test as plain } from "./harness.ts";
import { LocalNetwork, python } from "./network.ts";

const MAKER = fileURLToPath(new URL("certificate.py", import.meta.url));

const test = plain.extend("page", async ({ trouble }, { onCleanup }) => {
  const directory = await mkdtemp(join(tmpdir(), "tace-certificate-"));
  const hash = execFileSync(python(), [MAKER, directory], { encoding: "utf8" }).trim();
  const certificate = join(directory, "certificate.pem");
  const network = await LocalNetwork.start({
    nodes: 1,
    settings: {
      "gateway.certificate_file": certificate,
      "gateway.private_key_file": join(directory, "key.pem"),
    },
    // The command asks its node whether it is up, and must believe the certificate.
    environment: { SSL_CERT_FILE: certificate },
  });
  const options = launchOptions();
  const browser = await chromium.launch({
    ...options,
    // Trusted, rather than not looked at: a service worker of a bad certificate is refused.
    args: [...(options.args ?? []), `--ignore-certificate-errors-spki-list=${hash}`],
  });
  onCleanup(async () => {
    await browser.close();
    await network.stop();
    await rm(directory, { recursive: true });
  });
  const context = await browser.newContext(CONTEXT);
  trouble.watch(context, "page");
  const page = await context.newPage();
  await page.goto(network.node(0).url);
  return page;
});

/** What one exchange over the connections of the page gives. */
const protocolOf = (page: Page): Promise<string | undefined> =>
  page.evaluate(() => {
    const [navigation] = performance.getEntriesByType("navigation");
    return navigation instanceof PerformanceNavigationTiming
      ? navigation.nextHopProtocol
      : undefined;
  });

test("the page comes over HTTP/2, and a WebSocket and a session work beside it", async ({
  page,
}) => {
  expect(new URL(page.url()).protocol).toBe("https:");
  expect(await protocolOf(page)).toBe("h2");

  const greeting = await page.evaluate(
    () =>
      new Promise<{ protocol: string; bytes: number }>((resolve, reject) => {
        const socket = new WebSocket(`wss://${location.host}/v1/socket`, "tace.client.1");
        socket.binaryType = "arraybuffer";
        socket.onerror = () => reject(new Error("the WebSocket failed"));
        socket.onmessage = ({ data }) => {
          resolve({ protocol: socket.protocol, bytes: data.byteLength });
          socket.close();
        };
      }),
  );
  expect(greeting.protocol).toBe("tace.client.1");
  expect(greeting.bytes).toBeGreaterThan(32);

  const session = await page.evaluate(async () => {
    const response = await fetch("/v1/session", { method: "POST" });
    const token = response.headers.get("tace-session");
    const bytes = (await response.arrayBuffer()).byteLength;
    const [entry] = performance.getEntriesByName(response.url).slice(-1);
    const end = await fetch("/v1/session", {
      method: "DELETE",
      headers: { "tace-session": token ?? "" },
    });
    return {
      status: response.status,
      token: token ?? "",
      bytes,
      ended: end.ok,
      protocol: entry instanceof PerformanceResourceTiming ? entry.nextHopProtocol : "",
    };
  });
  expect(session.status).toBe(200);
  expect(session.token).toMatch(/^[\w-]{43}$/);
  expect(session.bytes).toBeGreaterThan(32);
  expect(session.protocol).toBe("h2");
  expect(session.ended).toBe(true);
});
