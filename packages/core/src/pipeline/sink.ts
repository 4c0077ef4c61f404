import type { BindingLike } from "../binding.ts";
import { checkOptions, isCountFrom, isFunction, isOneOf, isTime } from "../check.ts";
import type { Checks } from "../check.ts";
import { checkContract } from "../contract.ts";
import type { Contract } from "../contract.ts";
import { errorId, logFailure } from "../handler-failure.ts";
import type { HandlerFailure } from "../handler-failure.ts";
import { EndCounters, endChecks } from "../end.ts";
import type { BindingChoice, EndOptions } from "../end.ts";
import type { Acknowledgement, BatchEnd } from "../gen/zerobind/v1/pipeline.pb.ts";
import { ServiceHost } from "../host.ts";
import { Lifecycle } from "../lifecycle.ts";
import type { BatchEndReport, ResultContext } from "../pipeline-types.ts";
import { RpcError, isRpcError } from "../rpc-error.ts";
import { Status } from "../status.ts";
import { isPromiseLike } from "../stream.ts";
import { internalContract, pipelineMethods } from "./envelope.ts";
import type { Envelope } from "./envelope.ts";
import { acknowledged, failedBy } from "./outcome.ts";
import { SinkMemory } from "./sink-memory.ts";
import type { KnownBatch } from "./sink-memory.ts";
import { addressesOf } from "./ventilator.ts";
import { handlerOf } from "./worker.ts";

/** How a sink behaves. Times are in milliseconds. */
export interface PipelineSinkOptions extends EndOptions {
  /** Which side of the connection it is; workers are the other. Default `bind`. */
  readonly attach?: "bind" | "connect" | undefined;
  /** Results that are handled at once; others wait, each in the worker that has it. Default 1: one after the other. */
  readonly concurrency?: number | undefined;
  /**
   * Told once of each batch that is over, after all of its results were handled. What it throws goes to `onError`, and
   * it is not told again.
   */
  readonly onBatchEnd?: ((report: BatchEndReport) => void | Promise<void>) | undefined;
  /**
   * How long a batch is remembered after the last that was heard of it: results that come again within that time are
   * known, and not handled again. Default 3,600,000, an hour.
   */
  readonly rememberMs?: number | undefined;
  /** Batches that are remembered; beyond, those are forgotten of which nothing was heard for longest. Default 10,000. */
  readonly maxBatches?: number | undefined;
  /** Told of what handlers throw. Default: `console.error`. */
  readonly onError?: ((error: unknown, failure: HandlerFailure) => void) | undefined;
}

const sinkChecks: Checks = {
  ...endChecks,
  attach: isOneOf("bind", "connect"),
  concurrency: isCountFrom(1),
  onBatchEnd: isFunction,
  rememberMs: isTime,
  maxBatches: isCountFrom(1),
  onError: isFunction,
};

/** Gaps in the numbers of a batch; there are as many as jobs were given up or are under way, at most. */
const maxRanges = 65_536;
const maxIdBytes = 64;

type Handler = (result: unknown, context: ResultContext) => unknown;

/**
 * The end of pipelines: gathers the results of workers. Each job's result is handled once, however often it comes: the
 * sink knows what it has had, for as long as it runs (see `rememberMs`). A handler that throws has not taken the
 * result: the job counts one failed attempt, and is done again.
 *
 * `close` finishes the results that are being handled, for at most `drainTimeoutMs`; workers keep the others and wait
 * for a sink at the same address. One that is restarted has forgotten which results it had: those that it has
 * acknowledged do not come again, but those may that were under way.
 */
export class PipelineSink extends Lifecycle {
  readonly #options: PipelineSinkOptions;
  readonly #wanted: readonly string[];
  readonly #host: ServiceHost;
  readonly #memory: SinkMemory;
  readonly #counters = new EndCounters();
  readonly #onError: (error: unknown, failure: HandlerFailure) => void;

  /** TypeError for options out of their range. */
  constructor(
    address: string | readonly string[],
    options: PipelineSinkOptions & { readonly binding: BindingLike | BindingChoice },
  ) {
    super();
    checkOptions("sink option", options, sinkChecks);
    const { attach: _side, concurrency = 1, onBatchEnd: _told, rememberMs, maxBatches, onError, ...rest } = options;
    this.#wanted = addressesOf("a sink", address);
    this.#options = options;
    this.#onError = onError ?? logFailure;
    this.#memory = new SinkMemory(rememberMs ?? 3_600_000, maxBatches ?? 10_000);
    this.#host = new ServiceHost({
      ...rest,
      maxConcurrentCalls: concurrency,
      // Each worker has few at once, and a session no more than its limit.
      maxQueuedCalls: Infinity,
      onError: this.#onError,
    });
  }

  /** The real address, with the port that a wildcard stood for; empty while it is not open. */
  get address(): string {
    return this.#host.address;
  }

  /** The real addresses, in the order in which they were given. */
  get addresses(): readonly string[] {
    return this.#host.addresses;
  }

  /** What was dropped or refused since it was made, by reason; `duplicate result` for those that came again. */
  get counters(): Readonly<Record<string, number>> {
    return { ...this.#host.counters, ...this.#counters.read() };
  }

  /**
   * Adds the handlers for the results of a contract's pipelines, one for each method with that option. Throws TypeError
   * for what is no contract with pipelines and for methods that are missing, Error once the sink is open.
   */
  serve<Results extends object>(
    contract: Contract<unknown, unknown, { readonly sink: Results }>,
    handler: Results,
  ): this {
    checkContract(contract);
    if (this.state !== "created") throw new Error(`handlers are added before the sink opens; it is ${this.state}`);
    const methods = pipelineMethods(contract);
    const handlers: Record<string, (message: never) => Acknowledgement | Promise<Acknowledgement>> = {};
    for (const method of methods) {
      const handle = handlerOf(contract, handler, method) as Handler;
      handlers[method.result.localName] = (result: Envelope) => this.#result(method.path, handle, result);
      handlers[method.resultsEnd.localName] = (end: BatchEnd) => this.#end(method.path, end);
    }
    const results = internalContract(
      contract,
      methods.flatMap(({ result, resultsEnd }) => [result, resultsEnd]),
    );
    this.#host.serve(results, handlers);
    return this;
  }

  /** Begins to take results. Does not wait for workers; rejects if it is to bind and cannot. */
  open(): Promise<void> {
    return this.opened();
  }

  protected async onOpen(): Promise<void> {
    const { attach = "bind" } = this.#options;
    await this.#host.open(...this.#wanted.map((address) => ({ address, attach })));
  }

  protected onClosing(): void {
    // The host refuses new results from the beginning of its drain.
  }

  protected async onClose(graceful: boolean): Promise<void> {
    if (!graceful) this.#host.abort(this.closeReason?.error);
    await this.#host.close();
  }

  protected onAbort(): void {
    this.#host.abort();
  }

  #result(path: string, handle: Handler, { batch, number, attempt, body }: Envelope) {
    const known = this.#batch(path, batch);
    if (!Number.isSafeInteger(number)) throw new RpcError(Status.INTERNAL, `${path}: a result has no valid number`);
    const running = known.running.get(number);
    if (running || known.ended || known.taken.has(number)) {
      this.#counters.count("duplicate result");
      return running ?? acknowledged;
    }
    if (known.taken.ranges + known.running.size >= maxRanges)
      throw new RpcError(
        Status.RESOURCE_EXHAUSTED,
        `${path}: the results of batch ${known.name} have more than ${maxRanges} gaps between their numbers`,
      );
    const outcome = this.#handle(path, known, number, () => handle(body, { batch: known.name, number, attempt }));
    if (!isPromiseLike(outcome)) return outcome;
    known.running.set(number, outcome);
    return outcome;
  }

  /** Runs a handler once; its promise never rejects. */
  #handle(path: string, known: KnownBatch, number: number, handle: () => unknown) {
    const taken = (): Acknowledgement => {
      known.running.delete(number);
      known.taken.add(number);
      return acknowledged;
    };
    const failed = (thrown: unknown): Acknowledgement => {
      known.running.delete(number);
      return failedBy(this.#failure(path, thrown));
    };
    try {
      const result = handle();
      return isPromiseLike(result) ? Promise.resolve(result).then(taken, failed) : taken();
    } catch (thrown) {
      return failed(thrown);
    }
  }

  #end(path: string, end: BatchEnd): Promise<Acknowledgement> {
    const known = this.#batch(path, end.batch);
    known.ended ??= this.#tellEnd(path, known, end);
    return known.ended;
  }

  async #tellEnd(path: string, known: KnownBatch, end: BatchEnd): Promise<Acknowledgement> {
    // Of a job that was given up, or of a batch that was cancelled.
    await Promise.all(known.running.values());
    known.taken.clear();
    try {
      await this.#options.onBatchEnd?.({
        batch: known.name,
        path,
        done: Number(end.done),
        failed: Number(end.failed),
        durationMs: end.durationMs,
        brokenOff: end.brokenOff === "" ? undefined : end.brokenOff,
      });
    } catch (thrown) {
      this.#report(thrown, { path, id: undefined });
    }
    return acknowledged;
  }

  #batch(path: string, id: Uint8Array): KnownBatch {
    if (id.length === 0 || id.length > maxIdBytes)
      throw new RpcError(Status.INTERNAL, `${path}: the id of a batch has 1 to ${maxIdBytes} bytes, not ${id.length}`);
    return this.#memory.batch(id);
  }

  /** What workers get to see of something that a handler threw. */
  #failure(path: string, thrown: unknown): RpcError {
    const id = errorId();
    this.#report(thrown, { path, id });
    if (isRpcError(thrown)) return thrown;
    const text = `the sink's handler of ${path} failed; the sink's log has the reason under error id ${id}`;
    return new RpcError(Status.UNKNOWN, text);
  }

  #report(error: unknown, failure: HandlerFailure): void {
    try {
      this.#onError(error, failure);
    } catch (thrown) {
      logFailure(thrown, { path: "", id: undefined });
    }
  }
}
