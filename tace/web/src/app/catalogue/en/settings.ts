import type { Catalogue } from "../message";

export const settings = {} as const satisfies Catalogue;
