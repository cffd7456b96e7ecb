import { EngineError } from "../engine/contract";
import type { I18n } from "./i18n";

/** A failed call in the reader's words. */
export function errorText(i18n: I18n, error: unknown): string {
  const code = error instanceof EngineError ? error.code : "unknown";
  return i18n.orElse(`errors.${code}`, "errors.unknown");
}
