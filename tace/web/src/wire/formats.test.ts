import { Decoder, Encoder } from "@msgpack/msgpack";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Bytes, concat, fromHex } from "./bytes";
import { NotAsDeclared } from "./fields";
import { checkFormats } from "./formats";

/** One value in each of MessagePack's formats but the floats and the never used 0xc1. */
const VALUES: Readonly<Record<string, string>> = {
  "positive fixint": "7f",
  fixmap: "81a16101",
  fixarray: "9101",
  fixstr: "a16b",
  nil: "c0",
  false: "c2",
  true: "c3",
  "bin 8": "c402cbff",
  "bin 16": "c50002cbff",
  "bin 32": "c600000002cbff",
  "ext 8": "c70205cbff",
  "ext 16": "c8000205cbff",
  "ext 32": "c90000000205cbff",
  "uint 8": "cccb",
  "uint 16": "cdcbcb",
  "uint 32": "cecbcbcbcb",
  "uint 64": "cfcbcbcbcbcbcbcbcb",
  "int 8": "d0cb",
  "int 16": "d1cbcb",
  "int 32": "d2cbcbcbcb",
  "int 64": "d3cbcbcbcbcbcbcbcb",
  "fixext 1": "d405cb",
  "fixext 2": "d505cbcb",
  "fixext 4": "d605cbcbcbcb",
  "fixext 8": "d705cbcbcbcbcbcbcbcb",
  "fixext 16": `d805${"cb".repeat(16)}`,
  "str 8": "d9026869",
  "str 16": "da00026869",
  "str 32": "db000000026869",
  "array 16": "dc0001cccb",
  "array 32": "dd00000001cccb",
  "map 16": "de0001a161cccb",
  "map 32": "df00000001a161cccb",
  "negative fixint": "ff",
};
const TEXTS: Readonly<Record<string, string>> = {
  "short text": "a2fffe",
  "text of 8 bits": "d902c328",
  "text of 16 bits": "da0001c3",
  "text of 32 bits": "db00000003eda080",
};
const FLOATS: Readonly<Record<string, string>> = {
  "float 32": "ca3f800000",
  "float 64": "cb3ff0000000000000",
};

/** An array of the two. */
function pair(first: string, second: string): Bytes {
  return concat(fromHex("92"), fromHex(first), fromHex(second));
}

describe("what no message may hold", () => {
  it.each(Object.entries(VALUES))("is found behind %s, which may stand", (_, value) => {
    const good = pair(value, "a3c3a421");
    new Decoder({ useBigInt64: true }).decode(good);
    expect(() => checkFormats(good)).not.toThrow();
    for (const bad of [...Object.values(TEXTS), ...Object.values(FLOATS)]) {
      const body = pair(value, bad);
      new Decoder({ useBigInt64: true }).decode(body);
      expect(() => checkFormats(body)).toThrow(NotAsDeclared);
    }
  });

  it("is in nothing that is encoded from other values", () => {
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 3 },
        fc.string({ unit: "grapheme" }),
        fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }),
        fc.uint8Array({ maxLength: 300 }),
        fc.constant(null),
        fc.array(tie("any"), { maxLength: 20 }),
      ),
    })).any;
    fc.assert(
      fc.property(value, (any) => {
        checkFormats(new Encoder({ useBigInt64: true }).encode(any));
      }),
      { seed: 1, numRuns: 200 },
    );
  });
});
