import type { ClientMethod } from "../client-method.ts";
import type { RpcError } from "../rpc-error.ts";
import { now } from "../timer-wheel.ts";
import type { Dealer, DealtBatch } from "./dealer.ts";
import { Job, pauseMs } from "./job.ts";
import type { Fate, JobOwner } from "./job.ts";

const firstPauseMs = 100;

/** Tells the sink of the end of a batch, through a worker, as often as it takes. */
export class EndTeller implements JobOwner, DealtBatch {
  readonly leaseMs: number;
  readonly #dealer: Dealer;
  readonly #maxAttempts: number;
  readonly #onTold: (error: RpcError | undefined) => void;
  readonly #job: Job;
  #isReady = true;

  /** `onTold` is called once: when the sink has acknowledged, or with why it never will. */
  constructor(
    dealer: Dealer,
    method: ClientMethod,
    { leaseMs, maxAttempts }: { readonly leaseMs: number; readonly maxAttempts: number },
    toRequest: () => unknown,
    onTold: (error: RpcError | undefined) => void,
  ) {
    this.#dealer = dealer;
    this.leaseMs = leaseMs;
    this.#maxAttempts = maxAttempts;
    this.#onTold = onTold;
    this.#job = new Job(this, method, toRequest);
  }

  get hasReady(): boolean {
    return this.#isReady;
  }

  start(): void {
    this.#dealer.add(this);
  }

  next(): Job {
    this.#isReady = false;
    return this.#job;
  }

  settled(job: Job, fate: Fate, error: RpcError | undefined): void {
    // A worker or a sink that is not there may come; one that fails will most likely fail again.
    if (fate === "failed" || fate === "unsendable") job.attempts += 1;
    if (!error || job.attempts >= this.#maxAttempts) {
      this.#dealer.remove(this);
      return this.#onTold(error);
    }
    job.returns += 1;
    this.#dealer.wheel.add(job, now() + pauseMs(firstPauseMs, job.returns));
  }

  resume(): void {
    this.#isReady = true;
    this.#dealer.dealSoon();
  }
}
