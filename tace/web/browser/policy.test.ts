/** What a node's headers make the browser refuse, whatever got into the page. */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "./harness.ts";

const MANIFEST = fileURLToPath(new URL("../dist/files.json", import.meta.url));
const SERVED: string[] = Object.keys(JSON.parse(readFileSync(MANIFEST, "utf8")).files);

test("every file is served, as what it is and with all headers", async ({ network }) => {
  expect(SERVED).toEqual(expect.arrayContaining(["index.html", "sw.js"]));
  for (const path of [...SERVED, "files.json", "", "nothing/here"]) {
    const response = await fetch(`${network.node(0).url}/${path}`);
    const header = (name: string): string => response.headers.get(name) ?? "";
    await response.arrayBuffer();
    expect(response.status, path).toBe(path === "nothing/here" ? 404 : 200);
    const policy = header("content-security-policy");
    expect(policy, path).toContain("default-src 'none'");
    expect(policy, path).toContain("require-trusted-types-for 'script'");
    expect(policy, path).not.toMatch(/unsafe-|\sdata:|\s\*/);
    expect(header("x-content-type-options"), path).toBe("nosniff");
    expect(header("referrer-policy"), path).toBe("no-referrer");
    expect(header("set-cookie"), path).toBe("");
    if (path.startsWith("assets/")) {
      expect(header("cache-control"), path).toContain("immutable");
    } else {
      expect(header("cache-control"), path).not.toContain("immutable");
    }
    if (path.endsWith(".js")) {
      expect(header("content-type"), path).toMatch(/^text\/javascript\b/);
    }
  }
});

test("a string becomes no markup, no script and no style, and reaches nobody in the clear", async ({
  contexts,
  network,
  trouble,
}) => {
  trouble.allow(/Content Security Policy|Trusted ?Type|TrustedHTML|TrustedScript/);
  const page = await (await contexts("page")).newPage();
  await page.goto(network.node(0).url);
  // The browser tells of a breach in its own time.
  const breaches = await page.evaluateHandle(() => {
    const directives: string[] = [];
    document.addEventListener("securitypolicyviolation", ({ effectiveDirective }) => {
      directives.push(effectiveDirective);
    });
    return directives;
  });
  const refused = await page.evaluate(async () => {
    const throws = (attempt: () => void): boolean => {
      try {
        attempt();
        return false;
      } catch (error) {
        return error instanceof TypeError;
      }
    };
    const element = document.body.appendChild(document.createElement("p"));
    element.setAttribute("style", "color: rgb(1, 2, 3)");
    const script = document.createElement("script");
    // Not in TypeScript's own types.
    const { trustedTypes } = globalThis as unknown as {
      trustedTypes: { createPolicy(name: string, rules: object): unknown };
    };
    const image = new Image();
    const imageFailed = new Promise((resolve) => image.addEventListener("error", resolve));
    image.src = "https://elsewhere.example/pixel.png";
    await imageFailed;
    return {
      markup: throws(() => {
        element.innerHTML = "<b>bold</b>";
      }),
      inlineScript: throws(() => {
        script.text = "document.title = 'run'";
      }),
      foreignScript: throws(() => {
        script.src = "https://elsewhere.example/script.js";
      }),
      otherPolicy: throws(() => trustedTypes.createPolicy("other", {})),
      style: getComputedStyle(element).color !== "rgb(1, 2, 3)",
      clearText: await fetch("http://elsewhere.example/").then(
        () => false,
        () => true,
      ),
    };
  });
  expect(refused).toEqual({
    markup: true,
    inlineScript: true,
    foreignScript: true,
    otherPolicy: true,
    style: true,
    clearText: true,
  });
  await expect
    .poll(async () => [...new Set(await breaches.jsonValue())].sort())
    .toEqual([
      "connect-src",
      "img-src",
      "require-trusted-types-for",
      "style-src-attr",
      "trusted-types",
    ]);
});
