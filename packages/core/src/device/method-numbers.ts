import type { AnyMessageType } from "../contract.ts";
import { CallHeader } from "../gen/zerobind/v1/wire.pb.ts";
import type { MetadataEntry } from "../gen/zerobind/v1/wire.pb.ts";
import { rawType } from "../message.ts";
import { BinaryWriter } from "../wire.ts";

/** Method numbers that one session may introduce; methods beyond are always named. */
const maxMethodNumbers = 4096;

/** The numbers that stand for methods on one session with a worker. */
export class MethodNumbers {
  readonly #numbers = new Map<string, number>();
  /** Meta that only says the number, by path; for methods that the worker has heard of. */
  readonly #known = new Map<string, Uint8Array>();

  /** The meta of a CALL: only the number if that is enough, else with the path, which introduces the number. */
  meta(path: string, metadata: readonly MetadataEntry[]): [AnyMessageType, unknown] {
    const known = this.#known.get(path);
    if (known && metadata.length === 0) return [rawType, known];
    return [CallHeader, { methodNumber: this.#numberOf(path), path: known ? "" : path, metadata }];
  }

  /** The CALL with the path leaves before any other that will be written. */
  introduced(path: string): void {
    const number = this.#numbers.get(path);
    if (number === undefined || this.#known.has(path)) return;
    this.#known.set(path, new BinaryWriter().uint32(8).uint32(number).finish());
  }

  #numberOf(path: string): number {
    const reserved = this.#numbers.get(path);
    if (reserved !== undefined || this.#numbers.size >= maxMethodNumbers) return reserved ?? 0;
    const number = this.#numbers.size + 1;
    this.#numbers.set(path, number);
    return number;
  }
}
