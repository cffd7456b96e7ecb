import { expect, test, vi } from "vitest";
import { Releases } from "./service-worker";

vi.stubGlobal("location", new URL("https://node.example/"));

/** As much of a browser's container as is asked of it. */
class FakeContainer extends EventTarget {
  readonly sent: unknown[] = [];
  readonly registered: string[] = [];

  constructor(
    readonly controller: object | null,
    private readonly waits: boolean,
  ) {
    super();
  }

  async register(url: string) {
    this.registered.push(url);
    return {
      waiting: this.waits ? { postMessage: (message: unknown) => this.sent.push(message) } : null,
    };
  }
}

async function pageWith(container: FakeContainer) {
  const reload = vi.fn();
  // The fake has what Releases calls, not all that browsers have.
  const releases = new Releases(container as unknown as ServiceWorkerContainer, reload);
  await releases.register("/sw.js");
  return { releases, reload };
}

test("a release that waits is offered, and used when somebody agrees", async () => {
  const container = new FakeContainer({}, true);
  const { releases, reload } = await pageWith(container);
  expect(container.registered).toEqual(["https://node.example/sw.js"]);
  expect(releases.isWaiting.value).toBe(true);
  releases.useNew();
  expect(container.sent).toEqual([{ type: "use-release" }]);
  container.dispatchEvent(new Event("controllerchange"));
  expect(reload).toHaveBeenCalledOnce();
});

test("a release that comes while the page is open is told of", async () => {
  const container = new FakeContainer({}, false);
  const { releases } = await pageWith(container);
  expect(releases.isWaiting.value).toBe(false);
  const data = { type: "release-waiting", version: "2" };
  container.dispatchEvent(new MessageEvent("message", { data }));
  expect(releases.isWaiting.value).toBe(true);
});

test("the first service worker of all does not reload the page", async () => {
  const container = new FakeContainer(null, false);
  const { reload } = await pageWith(container);
  container.dispatchEvent(new Event("controllerchange"));
  expect(reload).not.toHaveBeenCalled();
  container.dispatchEvent(new Event("controllerchange"));
  expect(reload).toHaveBeenCalledOnce();
});

test("without service workers nothing happens", async () => {
  const releases = new Releases(undefined, () => {});
  await releases.register("/sw.js");
  expect(releases.isWaiting.value).toBe(false);
});
