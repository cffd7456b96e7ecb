import type { settings as english } from "../en/settings";
import type { Translated } from "../message";

export const settings: Translated<typeof english> = {};
