import { availableParallelism } from "node:os";
import { pathToFileURL } from "node:url";
import {
  checkContract,
  checkOptions,
  isCount,
  isCountFrom,
  isFunction,
  isObject,
  isTime,
  kindOf,
} from "@zerobind/core";
import { hosting, logFailure, methodPath } from "@zerobind/core";
import type { Checks, Contract, HandlerFailure, HostedHandler, Lifecycle } from "@zerobind/core";
import { forwarding } from "./forward.ts";
import { threadContract, threadMethods } from "./thread-messages.ts";
import { WorkerPool } from "./worker-pool.ts";

/** The memory that a worker thread may use, in MiB; see `resourceLimits` of Node's `Worker`. */
export interface ThreadLimits {
  readonly maxOldGenerationSizeMb?: number;
  readonly maxYoungGenerationSizeMb?: number;
  readonly codeRangeSizeMb?: number;
  readonly stackSizeMb?: number;
}

/** How a pool of worker threads behaves. Times are in milliseconds. */
export interface WorkerOptions {
  /** Default: what the machine can run at once, less one for the thread that receives the calls; at least one. */
  readonly threads?: number | undefined;
  /** Calls that one thread gets at once. Default 1, which is right for work that keeps its thread busy. */
  readonly maxConcurrentCalls?: number | undefined;
  /** Calls that wait, within their deadlines, for a thread; more are answered RESOURCE_EXHAUSTED. Default 1,000. */
  readonly maxQueuedCalls?: number | undefined;
  /**
   * A thread whose calls nobody waits for any more, and that is still too busy to notice, is ended after so long, and
   * replaced: nothing else can stop a handler that never returns. Default 2,000; Infinity for never.
   */
  readonly graceMs?: number | undefined;
  /** How long a thread may take to load its module. Default 10,000. */
  readonly startTimeoutMs?: number | undefined;
  /** How long `close` lets calls finish. Default 5,000. */
  readonly drainTimeoutMs?: number | undefined;
  /** Limits of memory for each thread, as Node names them; one that reaches them ends, and is replaced. Default: Node's. */
  readonly resourceLimits?: ThreadLimits | undefined;
  /**
   * Told of what handlers throw and callers do not get to see, and of threads that end unasked (without an id, and the
   * service as the path). Default: `console.error`.
   */
  readonly onError?: ((error: unknown, failure: HandlerFailure) => void) | undefined;
}

const maxThreads = 1_024;

const workerChecks: Checks = {
  threads(name, value) {
    if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= maxThreads) return;
    throw new TypeError(`${name} must be a whole number from 1 to ${maxThreads}, not ${kindOf(value)}`);
  },
  maxConcurrentCalls: isCountFrom(1),
  maxQueuedCalls: isCount,
  graceMs: isTime,
  startTimeoutMs: isTime,
  drainTimeoutMs: isTime,
  resourceLimits: isObject,
  onError: isFunction,
};

/** The life of a pool of worker threads, beside the methods of its handler. */
export interface Workers extends Pick<Lifecycle, "state" | "closed" | "close" | "abort" | typeof Symbol.asyncDispose> {
  /**
   * Starts the threads and waits until all have loaded their module; rejects with the file and the reason if one cannot.
   * A host does so by itself when it opens. Whoever calls this has to close the pool as well.
   */
  open(): Promise<void>;
  /** What went wrong since it was made, by reason: `threads ended` unasked, and `calls lost` with them. */
  readonly counters: Readonly<Record<string, number>>;
}

/** What threads can carry out of a contract: its calls, and the jobs of its pipelines. */
export type WorkersOf<Handler, Patterns> = Handler &
  (Patterns extends { readonly worker: infer Jobs } ? Jobs : unknown) &
  Workers;

/**
 * A handler whose methods run in threads, for work that would keep the event loop busy:
 * `host.serve(Imaging, workers(Imaging, new URL("./imaging-worker.js", import.meta.url)))`.
 *
 * The module exports the handler as `handler` (or as its default): an object or a class, which each thread makes one
 * of, and disposes of when the pool closes. `module` is a `file:` URL, or a path relative to the current folder.
 *
 * A call goes to a free thread, or waits for one in line. Messages, metadata, header and trailer, streams, deadline and
 * cancellation, errors and their details are those of any handler; `context.peer`, `session` and `items` are not those of
 * the caller, and calls back are not possible. A thread that ends (by an error that nobody catches, `process.exit()`, for
 * want of memory) is replaced: what it held ends UNAVAILABLE, idempotent methods are given to another thread, up to three.
 * So ends a thread that does not stop when nobody waits for its call any more (`graceMs`). The process goes on.
 *
 * A host, or a `PipelineWorker` (give it as much `concurrency` as there are threads), starts the threads when it opens and
 * ends them when it is closed; the last one does, where several serve the pool. They do not keep the process alive. In a
 * thread, Zerobind opens no ZeroMQ socket, since such a thread could not end without the process.
 *
 * Throws TypeError for what is no contract, no module, or options that cannot be. `close` lets
 * calls finish for `drainTimeoutMs`; what is still there then, and everything at `abort`, ends UNAVAILABLE.
 */
export function workers<Handler extends object, Patterns>(
  contract: Contract<unknown, Handler, Patterns>,
  module: URL | string,
  options: WorkerOptions = {},
): WorkersOf<Handler, Patterns> {
  checkContract(contract);
  checkOptions("worker option", options, workerChecks);
  if (contract.callback !== undefined)
    throw new TypeError(`${contract.typeName} has the callback ${contract.callback}, and threads cannot call back`);
  const { onError = logFailure, resourceLimits } = options;
  const methods = threadMethods(contract);
  if (methods.length === 0)
    throw new TypeError(`${contract.typeName} has neither calls nor jobs of a pipeline, which threads could carry out`);
  const pool = new WorkerPool({
    module: moduleUrl(module),
    methods,
    contract: threadContract(contract.typeName, methods),
    threads: options.threads ?? Math.max(1, availableParallelism() - 1),
    maxConcurrentCalls: options.maxConcurrentCalls ?? 1,
    maxQueuedCalls: options.maxQueuedCalls ?? 1_000,
    graceMs: timerMs(options.graceMs ?? 2_000),
    startTimeoutMs: timerMs(options.startTimeoutMs ?? 10_000),
    drainTimeoutMs: timerMs(options.drainTimeoutMs ?? 5_000),
    resourceLimits,
    onError(error, failure) {
      try {
        onError(error, failure);
      } catch (thrown) {
        logFailure(thrown, failure);
      }
    },
  });
  for (const descriptor of contract.methods) {
    const method = methods.find(({ name }) => name === descriptor.name);
    if (method === undefined) continue;
    const isIdempotent = descriptor.options?.idempotency !== undefined;
    const value = forwarding(pool, { ...method, path: methodPath(contract, descriptor), isIdempotent });
    Object.defineProperty(pool, method.localName, { value, enumerable: true });
  }
  Object.defineProperty(pool, hosting, { value: () => pool.host() } satisfies { value: HostedHandler[typeof hosting] });
  return pool as unknown as WorkersOf<Handler, Patterns>;
}

/** A timer cannot wait longer than 24 days, and would fire at once for more. */
function timerMs(ms: number): number {
  return Math.min(ms, 2 ** 31 - 1);
}

/** The module as a URL; TypeError for what a thread cannot load. */
function moduleUrl(module: unknown): URL {
  if (typeof module === "string" && module !== "" && !/^[a-z][a-z0-9+.-]+:/i.test(module)) return pathToFileURL(module);
  const url = typeof module === "string" && URL.canParse(module) ? new URL(module) : module;
  if (url instanceof URL && (url.protocol === "file:" || url.protocol === "data:")) return url;
  const found = url instanceof URL ? url.href : kindOf(module);
  throw new TypeError(
    `the module of workers must be a file: URL, such as new URL("./worker.js", import.meta.url), or a path, not ${found}`,
  );
}
