/** What belongs to the page as a program: new releases, and being installed. */

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Installation } from "./install";
import type { Releases } from "./service-worker";

export interface PageParts {
  releases: Releases;
  installation: Installation;
}

const PageContext = createContext<PageParts | null>(null);
export const PageProvider = PageContext.Provider;

/** @throws Error outside the application. */
export function usePage(): PageParts {
  const parts = useContext(PageContext);
  if (!parts) throw new Error("no PageProvider");
  return parts;
}
