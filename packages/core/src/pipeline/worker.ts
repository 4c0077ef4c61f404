import type { BindingLike } from "../binding.ts";
import { Channel } from "../channel.ts";
import { checkOptions, isCountFrom, isFunction, isOneOf, kindOf } from "../check.ts";
import type { Check, Checks } from "../check.ts";
import type { OperationContext } from "../context.ts";
import { checkContract } from "../contract.ts";
import type { Contract } from "../contract.ts";
import { errorId, logFailure } from "../handler-failure.ts";
import type { HandlerFailure } from "../handler-failure.ts";
import { endChecks } from "../end.ts";
import type { BindingChoice, EndOptions } from "../end.ts";
import type { Acknowledgement, BatchEnd } from "../gen/zerobind/v1/pipeline.pb.ts";
import { ServiceHost } from "../host.ts";
import { hosting, isHosted } from "../hosted.ts";
import { Lifecycle } from "../lifecycle.ts";
import type { IncomingCall } from "../operation.ts";
import { RpcError, isRpcError } from "../rpc-error.ts";
import { Status } from "../status.ts";
import { internalContract, pipelineMethods } from "./envelope.ts";
import type { Envelope, PipelineMethod } from "./envelope.ts";
import { delivery, retryBudget } from "./delivery.ts";
import type { Deliver } from "./delivery.ts";
import { CallJobContext } from "./job-context.ts";
import { failedBy, returnedFor } from "./outcome.ts";
import { addressesOf } from "./ventilator.ts";

/** Where a worker belongs, and how it behaves. Times are in milliseconds. */
export interface PipelineWorkerOptions extends EndOptions {
  /** The ventilators it takes jobs from. */
  readonly from: string | readonly string[];
  /** The one sink it delivers results to; one, since only a single sink can tell what it has had already. */
  readonly to: string;
  /**
   * Jobs that it works on at once, and that a ventilator gives it: none waits here while another worker is free. The
   * time until the sink has acknowledged the result counts. Default 1.
   */
  readonly concurrency?: number | undefined;
  /** Which side of the connection to its ventilators it is. Default `connect`. */
  readonly attachFrom?: "bind" | "connect" | undefined;
  /** Which side of the connection to its sink it is. Default `connect`. */
  readonly attachTo?: "bind" | "connect" | undefined;
  /**
   * Told of what handlers throw, unless it is an RpcError, which the ventilator gets to see as it is. Default:
   * `console.error`.
   */
  readonly onError?: ((error: unknown, failure: HandlerFailure) => void) | undefined;
}

const isSide = isOneOf("bind", "connect");
const isAddress: Check = (name, value) => {
  if (typeof value === "string") return;
  throw new TypeError(`${name} must be an address such as "tcp://127.0.0.1:5558", not ${kindOf(value)}`);
};

const workerChecks: Checks = {
  ...endChecks,
  from: (name, value) => void addressesOf(name, value),
  to: isAddress,
  concurrency: isCountFrom(1),
  attachFrom: isSide,
  attachTo: isSide,
  onError: isFunction,
};

type Handler = (job: unknown, context: CallJobContext) => unknown;

/**
 * The middle of pipelines: takes jobs from ventilators, and delivers what its handlers make of them to the sink. A job
 * is acknowledged to its ventilator when the sink has acknowledged its result, and is another worker's when this one is
 * lost before.
 *
 * `close` takes no further jobs, finishes those that it has, their delivery included, for at most `drainTimeoutMs`, and
 * gives the rest back, which does not count as an attempt. At `abort` handlers see their signals abort.
 */
export class PipelineWorker extends Lifecycle {
  readonly #options: PipelineWorkerOptions;
  readonly #host: ServiceHost;
  readonly #sink: Channel;
  readonly #onError: (error: unknown, failure: HandlerFailure) => void;

  /** TypeError for an address that the binding's transport does not understand, and for options out of their range. */
  constructor(options: PipelineWorkerOptions & { readonly binding: BindingLike | BindingChoice }) {
    super();
    checkOptions("worker option", options, workerChecks);
    const { from, to, concurrency = 1, attachFrom: _side, attachTo = "connect", onError, ...rest } = options;
    addressesOf("a worker needs the option from; it", from);
    if (to === undefined) throw new TypeError("a worker needs the option to, the address of its sink");
    this.#options = options;
    this.#onError = onError ?? logFailure;
    this.#host = new ServiceHost({
      ...rest,
      limits: { ...rest.limits, maxConcurrentCalls: Math.min(concurrency, 0xffffffff) },
      maxConcurrentCalls: concurrency,
      // Each ventilator gives it as many as it works on at once.
      maxQueuedCalls: Infinity,
      onError: this.#onError,
    });
    this.#sink = new Channel(to, { ...rest, attach: attachTo, retryBudget, maxQueuedCalls: Infinity });
  }

  /** Where it listens for ventilators, once it has bound; empty if it connects to them. */
  get addresses(): readonly string[] {
    return this.#options.attachFrom === "bind" ? this.#host.addresses : [];
  }

  /** The address of the sink; the real one if this worker has bound a wildcard. */
  get sinkAddress(): string {
    return this.#sink.address;
  }

  /** What was dropped or refused since it was made, by reason. */
  get counters(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = { ...this.#host.counters };
    for (const [what, count] of Object.entries(this.#sink.counters)) counts[what] = (counts[what] ?? 0) + count;
    return counts;
  }

  /**
   * Adds the handlers of a contract's pipelines, one for each method with that option. A ventilator may give a worker
   * any job that it has: its workers all serve all of its contracts. Throws TypeError for what is no contract with
   * pipelines and for methods that are missing, Error once the worker is open.
   */
  serve<Jobs extends object>(contract: Contract<unknown, unknown, { readonly worker: Jobs }>, handler: Jobs): this {
    checkContract(contract);
    if (this.state !== "created") throw new Error(`handlers are added before the worker opens; it is ${this.state}`);
    const methods = pipelineMethods(contract);
    const toSink = internalContract(
      contract,
      methods.flatMap(({ result, resultsEnd }) => [result, resultsEnd]),
    );
    const sink = this.#sink.client(toSink);
    const handlers: Record<string, (message: never, call: OperationContext) => Promise<Acknowledgement>> = {};
    for (const method of methods) {
      const work = handlerOf(contract, handler, method);
      const deliver = delivery(method.path, sink[method.result.localName]!);
      const tell = delivery(method.path, sink[method.resultsEnd.localName]!);
      handlers[method.job.localName] = (job: Envelope, call) => this.#work(method, work, deliver, job, call);
      handlers[method.jobsEnd.localName] = (end: BatchEnd, call) => tell(end, call as IncomingCall);
    }
    const jobs = internalContract(
      contract,
      methods.flatMap(({ job, jobsEnd }) => [job, jobsEnd]),
    );
    if (isHosted(handler)) Object.defineProperty(handlers, hosting, { value: () => handler[hosting]() });
    this.#host.serve(jobs, handlers);
    return this;
  }

  /** Begins to take jobs. Does not wait for ventilator or sink; rejects if it is to bind and cannot. */
  open(): Promise<void> {
    return this.opened();
  }

  protected async onOpen(): Promise<void> {
    const { from, attachFrom = "connect" } = this.#options;
    await this.#sink.open();
    await this.#host.open(...addressesOf("from", from).map((address) => ({ address, attach: attachFrom })));
  }

  protected onClosing(): void {
    // The host refuses new jobs from the beginning of its drain.
  }

  protected async onClose(graceful: boolean): Promise<void> {
    for (const end of [this.#host, this.#sink]) {
      if (!graceful) end.abort(this.closeReason?.error);
      await end.close();
    }
  }

  protected onAbort(): void {
    this.#host.abort();
    this.#sink.abort();
  }

  async #work(
    method: PipelineMethod,
    work: Handler,
    deliver: Deliver,
    { batch, number, attempt, body }: Envelope,
    call: OperationContext,
  ): Promise<Acknowledgement> {
    // Jobs of other ventilators may have waited for their turn.
    if (this.state === "closing") return returnedFor(new RpcError(Status.UNAVAILABLE, "the worker is closing"));
    let result: unknown;
    try {
      result = resultOf(method, await work(body, new CallJobContext(batch, number, attempt, call)));
    } catch (thrown) {
      return failedBy(this.#failure(method.path, thrown));
    }
    return await deliver({ batch, number, attempt, body: result }, call as IncomingCall);
  }

  /** What the ventilator gets to see of something that a handler threw. */
  #failure(path: string, thrown: unknown): RpcError {
    if (isRpcError(thrown)) return thrown;
    const id = errorId();
    try {
      this.#onError(thrown, { path, id });
    } catch (error) {
      logFailure(error, { path: "", id: undefined });
    }
    const text = `the handler of ${path} failed; the worker's log has the reason under error id ${id}`;
    return new RpcError(Status.UNKNOWN, text);
  }
}

/** TypeError if the handler lacks a method. */
export function handlerOf(contract: Contract, handler: object, { descriptor: { localName } }: PipelineMethod): Handler {
  const found = (handler as Record<string, Handler | undefined> | undefined)?.[localName];
  if (typeof found === "function") return (message, context) => found.call(handler, message, context);
  throw new TypeError(`the handler of ${contract.typeName} has no method ${localName}; all of its pipelines need one`);
}

function resultOf({ path, descriptor: { output } }: PipelineMethod, value: unknown): object {
  if (typeof value === "object" && value !== null) return value;
  if (value === undefined && output.$type === "google.protobuf.Empty") return {};
  throw new TypeError(`the handler of ${path} must return a ${output.$type}, not ${kindOf(value)}`);
}
