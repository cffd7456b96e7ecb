/** Images by way of a canvas: made small enough to send, and drawn anew before they are shown. */

import { MAX_FILE_BYTES } from "./measure";

/** The longer edge, in pixels, and the quality: tried in this order until it fits. */
const TRIES: readonly [edge: number, quality: number][] = [
  [1_600, 0.8],
  [1_280, 0.75],
  [1_024, 0.7],
  [800, 0.65],
  [640, 0.6],
  [480, 0.5],
  [320, 0.4],
];
/** Beyond this a browser may run out of memory when it decodes. */
const MAX_SOURCE_BYTES = 64 * 1024 * 1024;
const MAX_SHOWN_EDGE = 2_048;
const SHOWN_QUALITY = 0.92;

/** The browser cannot read it, or no size of it fits. */
export class ImageRefused extends Error {}

/**
 * A picture of at most one chunk, without what the camera wrote into the file (place, time, device).
 *
 * @throws ImageRefused
 */
export async function smallEnough(source: Blob): Promise<Blob> {
  const bitmap = await bitmapOf(source);
  try {
    for (const type of ["image/webp", "image/jpeg"]) {
      for (const [edge, quality] of TRIES) {
        const blob = await drawn(bitmap, edge, type, quality);
        // A browser without an encoder for it answers with PNG.
        if (blob.type !== type) break;
        if (blob.size <= MAX_FILE_BYTES) return blob;
      }
    }
    throw new ImageRefused("no size fits");
  } finally {
    bitmap.close();
  }
}

/** @throws ImageRefused */
export async function redrawn(source: Blob): Promise<Blob> {
  const bitmap = await bitmapOf(source);
  try {
    return await drawn(bitmap, MAX_SHOWN_EDGE, "image/webp", SHOWN_QUALITY);
  } finally {
    bitmap.close();
  }
}

async function bitmapOf(source: Blob): Promise<ImageBitmap> {
  if (source.size > MAX_SOURCE_BYTES) throw new ImageRefused("too large to decode");
  try {
    return await createImageBitmap(source);
  } catch {
    throw new ImageRefused("not an image");
  }
}

function drawn(bitmap: ImageBitmap, edge: number, type: string, quality: number): Promise<Blob> {
  const scale = Math.min(1, edge / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  if (!context) throw new ImageRefused("no canvas");
  if (type === "image/jpeg") {
    // JPEG knows no transparency; black would be what is left.
    context.fillStyle = "white";
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) =>
    canvas.toBlob(
      (blob) => (blob ? resolve(blob) : reject(new ImageRefused("not encoded"))),
      type,
      quality,
    ),
  );
}
