import type { OperationContext } from "../context.ts";
import type { JobContext } from "../pipeline-types.ts";
import { batchName } from "./envelope.ts";

/** What a handler knows of its job: the call that brought it knows most of it. */
export class CallJobContext implements JobContext {
  readonly number: number;
  readonly attempt: number;
  readonly #batch: Uint8Array;
  readonly #call: OperationContext;

  constructor(batch: Uint8Array, number: number, attempt: number, call: OperationContext) {
    this.#batch = batch;
    this.number = number;
    this.attempt = attempt;
    this.#call = call;
  }

  get batch(): string {
    return batchName(this.#batch);
  }

  get signal(): AbortSignal {
    return this.#call.signal;
  }

  get deadline(): number | undefined {
    return this.#call.deadline;
  }

  timeRemainingMs(): number {
    return this.#call.timeRemainingMs();
  }
}
