/** A file on its way into a message: measured, and made smaller where it is an image. */

import { fileBytes } from "../app/file-bytes";
import { MAX_FILE_BYTES } from "./measure";

export interface Attachment {
  name: string;
  type: string;
  bytes: Uint8Array;
  /** It is not the file that was chosen, but a smaller image of it. */
  isSmaller: boolean;
}

export class FileRefused extends Error {
  constructor(readonly why: "too-large" | "image-failed") {
    super(why);
  }
}

/** Drawings in SVG are programs; they go as files. */
const IMAGE = /^image\/(?!svg)/;

/**
 * Images are always drawn anew: what the camera wrote into them stays here.
 *
 * @throws FileRefused
 */
export async function attachmentOf(file: File): Promise<Attachment> {
  if (IMAGE.test(file.type)) {
    try {
      const { smallEnough } = await import("./image");
      const blob = await smallEnough(file);
      const ending = blob.type === "image/webp" ? "webp" : "jpg";
      return {
        name: `${file.name.replace(/\.[^.]*$/, "") || "image"}.${ending}`,
        type: blob.type,
        bytes: new Uint8Array(await blob.arrayBuffer()),
        isSmaller: true,
      };
    } catch {
      throw new FileRefused("image-failed");
    }
  }
  if (file.size > MAX_FILE_BYTES) throw new FileRefused("too-large");
  const bytes = await fileBytes(file, MAX_FILE_BYTES);
  return {
    name: file.name,
    type: file.type || "application/octet-stream",
    bytes,
    isSmaller: false,
  };
}
