/** Recovery codes as people type them: Crockford's base32 forgives capitals, dashes, O and l. */

/** What is left of it when all that does not matter is gone. */
export function plainCode(text: string): string {
  return text
    .toUpperCase()
    .replace(/[\s\-–—‐]/g, "")
    .replace(/O/g, "0")
    .replace(/[IL]/g, "1");
}

/** Groups at the end that are typed as a proof that it was written down. */
const CHECKED_GROUPS = 2;

export function groupsOf(code: string): string[] {
  return code.split("-");
}

/** Whether these are the last two groups. */
export function endsWith(code: string, typed: string): boolean {
  const end = groupsOf(code).slice(-CHECKED_GROUPS).join("");
  return plainCode(typed) === plainCode(end);
}
