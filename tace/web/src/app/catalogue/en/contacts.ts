import type { Catalogue } from "../message";

export const contacts = {} as const satisfies Catalogue;
