import { EngineError } from "../engine/contract";

/** An export of a busy decade; more would not fit into the page's memory beside everything else. */
export const MAX_EXPORT_BYTES = 512 * 1024 * 1024;

/** @throws EngineError file-too-large */
export async function fileBytes(file: File, maxBytes: number): Promise<Uint8Array> {
  if (file.size > maxBytes) throw new EngineError("file-too-large");
  return new Uint8Array(await file.arrayBuffer());
}
