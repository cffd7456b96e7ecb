/** QR codes out of images. The decoder is loaded by whoever imports this. */

import decodeQR, { type Image } from "qr/decode.js";

/** Larger pictures are made smaller first: a code needs no more, and a phone's photo has 50 million pixels. */
const MAX_EDGE = 1_600;

/** @returns the text, or null when there is no readable code. */
export function textIn(image: Image): string | null {
  try {
    return decodeQR(image);
  } catch {
    return null;
  }
}

/**
 * The bytes of a code whose content is no text.
 *
 * @returns null when there is no readable code.
 */
export function bytesIn(image: Image): Uint8Array | null {
  // One character for each byte (ISO 8859-1), so that nothing is lost on the way.
  const textDecoder = (bytes: Uint8Array) => String.fromCharCode(...bytes);
  try {
    return Uint8Array.from(decodeQR(image, { textDecoder }), (each) => each.charCodeAt(0));
  } catch {
    return null;
  }
}

/** @throws Error when the browser cannot read it as an image. */
export async function pixelsOf(source: ImageBitmapSource): Promise<Image> {
  const bitmap = await createImageBitmap(source);
  try {
    const scale = Math.min(1, MAX_EDGE / Math.max(bitmap.width, bitmap.height));
    const width = Math.max(1, Math.round(bitmap.width * scale));
    const height = Math.max(1, Math.round(bitmap.height * scale));
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (!context) throw new Error("no canvas");
    // A code on nothing is a code on white.
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
    context.drawImage(bitmap, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    return { width, height, data };
  } finally {
    bitmap.close();
  }
}
