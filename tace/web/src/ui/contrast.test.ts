import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

/** WCAG 2.2: 1.4.3 for text, 1.4.11 for what one has to see to use it. */
const TEXT = 4.5;
const SHAPE = 3;

const PAIRS: [string, string, number][] = [
  ...["paper", "surface", "raised", "sunken"].flatMap((ground): [string, string, number][] => [
    ["ink", ground, TEXT],
    ["ink-soft", ground, TEXT],
    ["accent", ground, TEXT],
  ]),
  ["danger", "paper", TEXT],
  ["danger", "surface", TEXT],
  ["danger", "raised", TEXT],
  ["on-accent", "accent", TEXT],
  ["on-accent", "accent-strong", TEXT],
  ["on-accent-soft", "accent-soft", TEXT],
  ["on-danger", "danger", TEXT],
  ["ink", "warn-soft", TEXT],
  ["accent", "warn-soft", TEXT],
  ["ink", "danger-soft", TEXT],
  ["ink", "bubble-mine", TEXT],
  ["ink-soft", "bubble-mine", TEXT],
  ["ink", "bubble-theirs", TEXT],
  ["ink-soft", "bubble-theirs", TEXT],
  ["ink", "mark", TEXT],
  ["line-strong", "paper", SHAPE],
  ["line-strong", "surface", SHAPE],
  ["line-strong", "raised", SHAPE],
  ["good", "raised", SHAPE],
  ["warn", "raised", SHAPE],
  ["warn", "warn-soft", SHAPE],
  ["danger", "danger-soft", SHAPE],
];

const tokens = colours(readFileSync(new URL("tokens.css", import.meta.url), "utf8"));

for (const [theme, at] of [
  ["light", 0],
  ["dark", 1],
] as const) {
  test.each(PAIRS)(`${theme}: %s on %s`, (front, ground, least) => {
    expect(contrast(tokenOf(front)[at], tokenOf(ground)[at])).toBeGreaterThanOrEqual(least);
  });
}

test("initials on every colour of an avatar", () => {
  const css = readFileSync(new URL("avatar.css", import.meta.url), "utf8");
  const rule =
    /\.avatar-hue-(\d) \{\s*background: (light-dark\([^)]*\));\s*color: (light-dark\([^)]*\));/g;
  const hues = [...css.matchAll(rule)];
  expect(hues.length).toBe(8);
  for (const [, hue, ground = "", front = ""] of hues) {
    for (const at of [0, 1] as const) {
      const value = contrast(pairOf(front)[at], pairOf(ground)[at]);
      expect(value, `hue ${hue}, theme ${at}`).toBeGreaterThanOrEqual(TEXT);
    }
  }
});

function colours(css: string): Map<string, [string, string]> {
  const found = css.matchAll(/--([a-z-]+): (light-dark\(#[^)]*\));/g);
  return new Map([...found].map(([, name = "", value = ""]) => [name, pairOf(value)]));
}

function tokenOf(name: string): [string, string] {
  const pair = tokens.get(name);
  if (!pair) throw new Error(`tokens.css has no --${name}`);
  return pair;
}

function pairOf(value: string): [string, string] {
  const match = /light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)/.exec(value);
  if (!match?.[1] || !match[2]) throw new Error(`no pair of colours: ${value}`);
  return [match[1], match[2]];
}

/** WCAG's contrast ratio, 1 to 21. */
function contrast(one: string, other: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(hex: string): number {
  const channel = (at: number) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
}
