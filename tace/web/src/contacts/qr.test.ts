import { encodeQR } from "qr";
import { expect, it } from "vitest";
import { byteModules } from "./byte-code";
import { bytesIn, textIn } from "./qr-reading";

const MODULE_PIXELS = 4;

/** The code as a camera would deliver it: black and white, in RGBA. */
function pictureOf(modules: boolean[][]) {
  const edge = modules.length * MODULE_PIXELS;
  const data = new Uint8ClampedArray(edge * edge * 4).fill(255);
  for (let at = 0; at < edge * edge; at += 1) {
    const y = Math.floor(at / edge / MODULE_PIXELS);
    const x = Math.floor((at % edge) / MODULE_PIXELS);
    if (modules[y]?.[x]) data.fill(0, 4 * at, 4 * at + 3);
  }
  return { width: edge, height: edge, data };
}

it("reads back a link", () => {
  const link = `https://node1.example.org/#tace1${"q7".repeat(29)}`;
  expect(textIn(pictureOf(encodeQR(link, "raw", { border: 4 })))).toBe(link);
});

it("reads back bytes that are no text", async () => {
  const bytes = Uint8Array.from({ length: 78 }, (_, at) => (at * 37 + 129) % 256);
  expect(bytesIn(pictureOf(await byteModules(bytes)))).toEqual(bytes);
});

it("finds nothing where there is nothing", () => {
  const empty = { width: 200, height: 200, data: new Uint8ClampedArray(160_000).fill(255) };
  expect(textIn(empty)).toBeNull();
  expect(bytesIn(empty)).toBeNull();
});
