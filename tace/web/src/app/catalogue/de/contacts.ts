import type { contacts as english } from "../en/contacts";
import type { Translated } from "../message";

export const contacts: Translated<typeof english> = {};
