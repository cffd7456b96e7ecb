/** The gate itself: a test that cuts a line must be sure that it is cut. */

import type { Page } from "playwright-core";
import { Gate } from "./gate.ts";
import { expect, test } from "./harness.ts";

/** What becomes of a WebSocket and of a request. */
function reach(page: Page): Promise<{ socket: string; request: string }> {
  return page.evaluate(async () => ({
    socket: await new Promise<string>((resolve) => {
      const socket = new WebSocket(`ws://${location.host}/v1/socket`, "tace.client.1");
      socket.addEventListener("message", () => resolve("reached"));
      socket.addEventListener("close", () => resolve("closed"));
    }),
    request: await fetch("/files.json", { cache: "no-store" }).then(
      () => "reached",
      () => "failed",
    ),
  }));
}

test("a gate lets all through, or no WebSocket, or nothing", async ({
  contexts,
  network,
  trouble,
}) => {
  trouble.allow(/WebSocket connection|Failed to load resource/);
  const gate = await Gate.open();
  const page = await (await contexts("page", gate.options)).newPage();
  const { url } = network.node(0);
  await page.goto(`${url}/files.json`);
  expect(await reach(page)).toEqual({ socket: "reached", request: "reached" });
  expect([...gate.asked]).toEqual([new URL(url).host]);

  const closed = page.evaluateHandle(() => {
    const socket = new WebSocket(`ws://${location.host}/v1/socket`, "tace.client.1");
    const ready = new Promise((resolve) => socket.addEventListener("open", resolve));
    const over = new Promise((resolve) => socket.addEventListener("close", () => resolve("over")));
    // In an object: a promise itself would be waited for.
    return ready.then(() => ({ over }));
  });
  const open = await closed;
  gate.set("tunnels-blocked");
  expect(await open.evaluate(({ over }) => over)).toBe("over");
  expect(await reach(page)).toEqual({ socket: "closed", request: "reached" });

  gate.set("shut");
  expect(await reach(page)).toEqual({ socket: "closed", request: "failed" });

  gate.set("open");
  expect(await reach(page)).toEqual({ socket: "reached", request: "reached" });
  await gate.close();
});
