/** All of German: one piece, loaded when it is chosen. */

import { app } from "./app";
import { chat } from "./chat";
import { contacts } from "./contacts";
import { errors } from "./errors";
import { settings } from "./settings";

export const german = { app, chat, contacts, errors, settings };
