/** Names as people give them to themselves (docs/protocol/e2ee.md: at most 64 characters). */

export const MAX_NAME_CHARACTERS = 64;

export function tidyName(name: string): string {
  return name.normalize("NFC").replace(/\s+/g, " ").trim();
}

export function nameProblem(name: string): "missing" | "long" | null {
  const length = [...tidyName(name)].length;
  if (length === 0) return "missing";
  return length > MAX_NAME_CHARACTERS ? "long" : null;
}
