/**
 * The one Trusted Types policy of the page. The Content Security Policy allows no other, and this
 * one lets through only scripts of the page's own origin.
 */

interface Policy {
  createScriptURL(url: string): string;
}

interface TrustedTypes {
  createPolicy(name: string, rules: Policy): Policy;
}

let made: Policy | null = null;

/** @throws TypeError the address is not of this origin. */
export function trustedScriptUrl(url: string): string {
  made ??= policy();
  return made.createScriptURL(url);
}

function policy(): Policy {
  const rules: Policy = {
    createScriptURL: (url) => {
      const { origin, protocol, href } = new URL(url, location.href);
      // The origin of a blob: address is the page's own, whoever wrote what is in it.
      const isServed = origin === location.origin && protocol === location.protocol;
      if (!isServed) throw new TypeError("a script of another origin");
      return href;
    },
  };
  // Not in every browser, and not in TypeScript's own types.
  const { trustedTypes } = globalThis as { trustedTypes?: TrustedTypes };
  return trustedTypes?.createPolicy("tace", rules) ?? rules;
}
