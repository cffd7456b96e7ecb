import type { chat as english } from "../en/chat";
import type { Translated } from "../message";

export const chat: Translated<typeof english> = {};
