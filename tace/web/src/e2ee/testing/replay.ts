import { type Bytes, fromHex } from "../../wire/bytes";
import type { AgreementKeys, RandomBytes } from "../crypto";
import { keyFromScalar, SEED_BYTES, scalarFromSeed } from "../scalar";

/** A random source that gives what a vector file recorded, in that order. */
export class Replay {
  readonly #left: Bytes[] = [];

  feed(recorded: readonly string[]): void {
    this.#left.push(...recorded.map(fromHex));
  }

  /** How much was recorded and has not been taken. */
  get left(): number {
    return this.#left.length;
  }

  readonly random: RandomBytes = (count) => {
    const given = this.#left.shift();
    if (given?.length !== count) throw new RangeError(`${count} bytes were not recorded here`);
    return given;
  };

  readonly agreementKey: AgreementKeys = () =>
    keyFromScalar(scalarFromSeed(this.random(SEED_BYTES)), "agree");
}
