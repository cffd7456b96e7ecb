import type { Catalogue } from "../message";

export const chat = {} as const satisfies Catalogue;
