import type { CallOwner } from "../call-owner.ts";
import type { CallPool } from "../call-pool.ts";
import type { ClientSession } from "../client-session.ts";
import type { TimerWheel } from "../timer-wheel.ts";
import type { Limits } from "../limits.ts";
import type { Job } from "./job.ts";

/** A batch as it gets its turn. */
export interface DealtBatch {
  readonly hasReady: boolean;
  /** Takes out the next job; only while `hasReady`. */
  next(): Job;
}

/**
 * Deals the jobs of all batches to the workers that have room: batches in turn, workers by who holds least. A job that
 * no worker has seen comes back to its batch at once, so that its lease begins anew where it is dealt again.
 */
export class Dealer implements CallOwner {
  readonly #pool: CallPool;
  readonly #batches: DealtBatch[] = [];
  #turn = 0;
  #scheduled = false;
  #stopped = false;

  constructor(pool: CallPool) {
    this.#pool = pool;
    pool.onRoom = () => this.dealSoon();
  }

  get wheel(): TimerWheel {
    return this.#pool.wheel;
  }

  get limits(): Limits {
    return this.#pool.limits;
  }

  get address(): string {
    return this.#pool.address;
  }

  add(batch: DealtBatch): void {
    this.#batches.push(batch);
    this.dealSoon();
  }

  remove(batch: DealtBatch): void {
    const index = this.#batches.indexOf(batch);
    if (index >= 0) this.#batches.splice(index, 1);
  }

  /** Deals no more. */
  stop(): void {
    this.#stopped = true;
  }

  /** Deals when all that just came has been looked at, so that what goes to a worker goes as one message. */
  dealSoon(): void {
    if (this.#scheduled || this.#stopped || this.#batches.length === 0) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#deal();
    });
  }

  withdrawn(): void {
    // No call of a job waits here.
  }

  restart(): boolean {
    return false;
  }

  retry(): boolean {
    return false;
  }

  succeeded(): void {
    // There is no budget for retries.
  }

  missing(): string {
    return "no worker had it";
  }

  #deal(): void {
    for (;;) {
      const batch = this.#stopped ? undefined : this.#nextBatch();
      const worker: ClientSession | undefined = batch && this.#pool.pick();
      if (!batch || !worker) return;
      batch.next().giveTo(worker, this);
    }
  }

  /** The next batch in turn that has a job. */
  #nextBatch(): DealtBatch | undefined {
    const { length } = this.#batches;
    for (let tried = 1; tried <= length; tried++) {
      const index = (this.#turn + tried) % length;
      const batch = this.#batches[index]!;
      if (!batch.hasReady) continue;
      this.#turn = index;
      return batch;
    }
    return undefined;
  }
}
