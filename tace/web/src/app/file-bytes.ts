import { EngineError } from "../engine/contract";

/** What a reader unpacks at most (docs/protocol/e2ee.md, section 14); packed it is never more. */
export const MAX_EXPORT_BYTES = 256 * 1024 * 1024;

/** @throws EngineError file-too-large */
export async function fileBytes(file: File, maxBytes: number): Promise<Uint8Array> {
  if (file.size > maxBytes) throw new EngineError("file-too-large");
  return new Uint8Array(await file.arrayBuffer());
}
