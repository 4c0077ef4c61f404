import { detached } from "../ambient.ts";
import type { BindingLike } from "../binding.ts";
import { CallPool } from "../call-pool.ts";
import { checkOptions, isCountFrom, isOneOf, kindOf } from "../check.ts";
import type { Checks } from "../check.ts";
import { clientMethod } from "../client-method.ts";
import { checkContract } from "../contract.ts";
import type { Contract } from "../contract.ts";
import { Dispatcher } from "../dispatcher.ts";
import { logFailure } from "../handler-failure.ts";
import { endChecks, guarded } from "../end.ts";
import type { BindingChoice, EndOptions } from "../end.ts";
import { Lifecycle } from "../lifecycle.ts";
import { checkBatchOptions, isLease } from "../pipeline-types.ts";
import type { BatchOptions, JobBatch } from "../pipeline-types.ts";
import { RpcError } from "../rpc-error.ts";
import { Status } from "../status.ts";
import { isStreamable } from "../stream.ts";
import { Batch } from "./batch.ts";
import type { GivenBatch } from "./batch.ts";
import { Dealer } from "./dealer.ts";
import { internalContract, pipelineMethods } from "./envelope.ts";

/** How a ventilator behaves. Times are in milliseconds. */
export interface VentilatorOptions extends EndOptions {
  /** Which side of the connection it is; workers are the other. Default `bind`. */
  readonly attach?: "bind" | "connect" | undefined;
  /** For batches that do not say: how long a worker may take for a job, see `BatchOptions`. Default 30,000. */
  readonly leaseMs?: number | undefined;
  /** For batches that do not say: how often a job is tried, see `BatchOptions`. Default 3. */
  readonly maxAttempts?: number | undefined;
}

const ventilatorChecks: Checks = {
  ...endChecks,
  attach: isOneOf("bind", "connect"),
  leaseMs: isLease,
  maxAttempts: isCountFrom(1),
};

/**
 * The beginning of pipelines: gives the jobs of batches out to workers, each as many at once as it takes, until every
 * job is acknowledged or given up. It opens by itself with its first batch; workers may be there before it or come and
 * go at any time.
 *
 * `close` gives out no further jobs and lets those that workers hold be finished for at most `drainTimeoutMs`; batches
 * that are not done by then, and all at `abort`, end CANCELLED. Await `batch.finished` before closing.
 */
export class Ventilator extends Lifecycle {
  readonly #options: VentilatorOptions;
  readonly #pool: CallPool;
  readonly #dealer: Dealer;
  readonly #batches = new Set<Batch>();

  /** TypeError for an address that the binding's transport does not understand, and for options out of their range. */
  constructor(
    address: string | readonly string[],
    options: VentilatorOptions & { readonly binding: BindingLike | BindingChoice },
  ) {
    super();
    checkOptions("ventilator option", options, ventilatorChecks);
    const addresses = [...new Set(addressesOf("a ventilator", address))];
    const { leaseMs: _leaseMs, maxAttempts: _maxAttempts, attach = "bind", ...rest } = options;
    this.#options = options;
    const pooled = { ...rest, attach, balance: "least-in-flight", retry: false } as const;
    this.#pool = new CallPool(addresses, pooled, () => undefined, new Dispatcher({}, logFailure, () => undefined));
    this.#dealer = new Dealer(this.#pool);
  }

  /** The address, or all of them; the real one if it has bound a wildcard. */
  get address(): string {
    return this.#pool.address;
  }

  /** Workers that are connected, answer, and are not going away. */
  get workers(): number {
    return this.#pool.sessions;
  }

  /** What was dropped since it was made, by reason: acknowledgements that came after their lease, and the like. */
  get counters(): Readonly<Record<string, number>> {
    return this.#pool.counters.read();
  }

  /** Begins to listen, or to connect. Does not wait for workers; rejects if it cannot bind. */
  open(): Promise<void> {
    return detached(() => this.opened());
  }

  /**
   * What begins batches of a contract's pipelines: an object with a function for each method that has the option
   * `pipeline`. It has no state of its own. TypeError for what is no contract, and for one without such methods.
   */
  ventilator<Stub>(contract: Contract<unknown, unknown, { readonly ventilator: Stub }>): Stub {
    checkContract(contract);
    const methods = pipelineMethods(contract);
    const internal = internalContract(
      contract,
      methods.map(({ job }) => job),
    );
    this.#pool.check(internal);
    const stub: Record<string, (jobs: unknown, options?: BatchOptions<unknown>) => JobBatch> = {};
    for (const { descriptor, path, job, jobsEnd } of methods) {
      const calls = { path, job: clientMethod(internal, job), end: clientMethod(internal, jobsEnd) };
      const begin = (jobs: unknown, options: BatchOptions<unknown> = {}): JobBatch => this.#begin(calls, jobs, options);
      Object.defineProperty(stub, descriptor.localName, { value: begin, enumerable: true });
    }
    return Object.freeze(stub) as Stub;
  }

  protected async onOpen(): Promise<void> {
    await this.#pool.attach();
  }

  protected onClosing(): void {
    this.#pool.refuse();
    this.#dealer.stop();
    for (const batch of this.#batches) batch.stop();
  }

  protected async onClose(graceful: boolean): Promise<void> {
    await this.#pool.close(graceful);
    for (const batch of [...this.#batches]) batch.fail(this.#closedError());
  }

  protected onAbort(): void {
    this.#pool.cutShort();
  }

  #begin(calls: Pick<GivenBatch, "path" | "job" | "end">, jobs: unknown, options: BatchOptions<unknown>): JobBatch {
    checkBatchOptions(options);
    if (!isStreamable(jobs))
      throw new TypeError(
        `jobs of ${calls.path} come as an AsyncIterable, Iterable or ReadableStream, not ${kindOf(jobs)}`,
      );
    const { leaseMs = 30_000, maxAttempts = 3, onTrouble } = this.#options;
    const batch = new Batch(this.#dealer, {
      ...calls,
      options: {
        ...options,
        leaseMs: options.leaseMs ?? leaseMs,
        maxAttempts: options.maxAttempts ?? maxAttempts,
      },
      onTrouble: guarded(onTrouble),
      onOver: (over) => void this.#batches.delete(over),
    });
    this.#batches.add(batch);
    // The batch belongs to no call, even if a handler begins it.
    detached(() => {
      void this.opened().catch(() => undefined);
      if (this.state === "closing" || this.state === "closed") batch.fail(this.#closedError());
      else batch.start(jobs);
    });
    return batch;
  }

  #closedError(): unknown {
    const reason = this.closeReason;
    if (reason?.kind === "failed") return reason.error ?? new RpcError(Status.UNAVAILABLE, reason.message);
    return new RpcError(Status.CANCELLED, "the ventilator was closed before the batch had ended");
  }
}

/** One address or several, as an array. TypeError for what is none. */
export function addressesOf(what: string, given: unknown): readonly string[] {
  const addresses: unknown = typeof given === "string" ? [given] : given;
  if (!Array.isArray(addresses))
    throw new TypeError(`${what} needs an address or an array of them, not ${kindOf(given)}`);
  if (addresses.length === 0) throw new TypeError(`${what} needs an address, for example "tcp://127.0.0.1:5557"`);
  return addresses as string[];
}
