import type { Acknowledgement } from "../gen/zerobind/v1/pipeline.pb.ts";
import { now } from "../timer-wheel.ts";
import { batchName } from "./envelope.ts";
import { NumberRanges } from "./number-ranges.ts";

/** Moving a batch to the end of the line for every result of it would cost more than it is worth. */
const touchEveryMs = 1_000;

/** What a sink knows of one batch. */
export class KnownBatch {
  readonly name: string;
  /** Numbers of the jobs whose results were handled. */
  taken: NumberRanges = new NumberRanges();
  /** Results that are being handled, by the number of their job. */
  readonly running: Map<number, Promise<Acknowledgement>> = new Map();
  /** Set when the end was heard of: no result is taken any more. */
  ended: Promise<Acknowledgement> | undefined;
  touchedMs: number = now();

  constructor(name: string) {
    this.name = name;
  }
}

/** The batches that a sink knows, the one it has heard of least recently first. */
export class SinkMemory {
  readonly #rememberMs: number;
  readonly #maxBatches: number;
  readonly #batches = new Map<string, KnownBatch>();

  constructor(rememberMs: number, maxBatches: number) {
    this.#rememberMs = rememberMs;
    this.#maxBatches = maxBatches;
  }

  get size(): number {
    return this.#batches.size;
  }

  /** What is known of a batch, from now on at the latest. */
  batch(id: Uint8Array): KnownBatch {
    const key = String.fromCharCode(...id);
    const known = this.#batches.get(key);
    if (!known) return this.#add(key, new KnownBatch(batchName(id)));
    const nowMs = now();
    if (nowMs - known.touchedMs >= touchEveryMs) {
      known.touchedMs = nowMs;
      this.#batches.delete(key);
      this.#batches.set(key, known);
    }
    return known;
  }

  /** Old batches go when new ones come: until then they harm nobody, and no timer is needed. */
  #add(key: string, added: KnownBatch): KnownBatch {
    const before = now() - this.#rememberMs;
    for (const [oldKey, old] of this.#batches) {
      if (this.#batches.size < this.#maxBatches && old.touchedMs > before) break;
      if (old.running.size === 0) this.#batches.delete(oldKey);
    }
    this.#batches.set(key, added);
    return added;
  }
}
