/** Bytes as a QR code (byte mode, without a character set of its own). */
export async function byteModules(bytes: Uint8Array): Promise<boolean[][]> {
  const { encodeQR } = await import("qr");
  return encodeQR("0".repeat(bytes.length), "raw", {
    ecc: "medium",
    encoding: "byte",
    border: 4,
    textEncoder: () => bytes,
  });
}
