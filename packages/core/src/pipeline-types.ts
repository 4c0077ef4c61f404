import { checkOptions, isCountFrom, isFunction, isTime } from "./check.ts";
import type { Check, Checks } from "./check.ts";
import type { MessageInit } from "./contract.ts";
import { callChecks } from "./call-options.ts";
import type { RequestStream } from "./stream.ts";

/**
 * Where the jobs of a batch come from: any async iterable, iterable or ReadableStream. It is read as workers ask for
 * jobs, at most 32 ahead of them, and closed when the batch ends before it.
 */
export type JobSource<T> = RequestStream<T>;

/** How far a batch has come. Every job that was read is exactly one of waiting, running, done and failed. */
export interface BatchProgress {
  /** All jobs, once that is known: from the beginning for arrays, sets and maps, else when the source has ended. */
  readonly total: number | undefined;
  /** Jobs that were read from the source and that no worker has now. */
  readonly waiting: number;
  /** Jobs that a worker holds. */
  readonly running: number;
  /** Jobs whose result the sink has acknowledged. */
  readonly done: number;
  /** Jobs that were given up. */
  readonly failed: number;
  /** How often a job was given out again. */
  readonly retried: number;
  /** Jobs done per second, of the last second or two. */
  readonly ratePerSecond: number;
}

/** A job that was given up. */
export interface DeadLetter<T> {
  /** As the source gave it. */
  readonly job: MessageInit<T>;
  /** Its number in the batch, from 0, in the order of the source. */
  readonly number: number;
  /** How many of its attempts count; 0 for a job that could not be sent at all. */
  readonly attempts: number;
  /** What the last attempt ended with. */
  readonly error: Error;
}

/** How one batch of jobs of the message `T` is done. Times are in milliseconds. */
export interface BatchOptions<T> {
  /**
   * How long a worker may take for a job, delivery to the sink included. When it is over, the worker's `signal` aborts,
   * and the job goes to another one. A worker of which nothing at all was heard for so long is asked for a sign of life,
   * gets no job until it comes, and is given up with all it holds when as much time passes again. More than 0. Default:
   * the ventilator's (30,000).
   */
  readonly leaseMs?: number | undefined;
  /**
   * How often a job is tried before it is given up. What counts: its handler threw, its lease ended, its worker was
   * lost. What does not: a worker that closes, a sink that cannot be reached. Default: the ventilator's (3).
   */
  readonly maxAttempts?: number | undefined;
  /** Pause after an attempt whose handler threw, twice as long after each further one, at most 5 s. Default 100. */
  readonly backoffMs?: number | undefined;
  /** Told of each job that is given up. What it throws goes to `onTrouble`. */
  readonly onDeadLetter?: ((letter: DeadLetter<T>) => void) | undefined;
  /** Told how far the batch has come, while it moves and once at its end. What it throws goes to `onTrouble`. */
  readonly onProgress?: ((progress: BatchProgress) => void) | undefined;
  /** Least time between two calls of `onProgress`. Default 100. */
  readonly progressIntervalMs?: number | undefined;
  /** Cancels the batch when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/** Without any time no job would ever be done. */
export const isLease: Check = (name, value) => {
  isTime(name, value);
  if (value === 0) throw new TypeError(`${name} must be more than 0 ms`);
};

const batchChecks: Checks = {
  leaseMs: isLease,
  maxAttempts: isCountFrom(1),
  backoffMs: isTime,
  onDeadLetter: isFunction,
  onProgress: isFunction,
  progressIntervalMs: isTime,
  signal: callChecks["signal"]!,
};

/** Throws TypeError for what a batch cannot be told. */
export function checkBatchOptions(options: object): void {
  checkOptions("batch option", options, batchChecks);
}

/** How a batch ended. */
export interface BatchReport {
  /** The id of the batch, as handlers of its jobs see it. */
  readonly batch: string;
  /** Jobs whose result the sink has acknowledged. */
  readonly done: number;
  /** Jobs that were given up. */
  readonly failed: number;
  /** The first 1,000 of those. */
  readonly deadLetters: readonly DeadLetter<unknown>[];
  /** From the call that began it until the sink knew of its end. */
  readonly durationMs: number;
  /** Jobs done per second, over all of that. */
  readonly ratePerSecond: number;
}

/** A batch of jobs on its way. */
export interface JobBatch {
  /** Random; handlers of its jobs and results see it. */
  readonly id: string;
  /**
   * Resolves when every job is done or given up, and the sink knows that this was all. Rejects with what the source
   * threw, when the jobs that were under way are done; CANCELLED at once if the batch is cancelled or its ventilator
   * closed; and with the reason if the ventilator could not be opened. May be left alone: a rejection that nobody looks
   * at is no unhandled one.
   */
  readonly finished: Promise<BatchReport>;
  readonly progress: BatchProgress;
  /**
   * Ends the batch: its source is closed, no further job is given out, and the workers that hold some see their
   * signals abort. Results that the sink has by then stay there. Does nothing once the batch has ended.
   */
  cancel(reason?: unknown): void;
}

/** What a worker's handler knows of a job. */
export interface JobContext {
  /** The id of the batch. */
  readonly batch: string;
  /** The number of the job in its batch, from 0, in the order of the source. */
  readonly number: number;
  /** From 1. Attempts that do not count (see `BatchOptions.maxAttempts`) are not counted here either. */
  readonly attempt: number;
  /** Aborts when the result is not wanted any more: the lease is over, the batch cancelled, the ventilator gone. */
  readonly signal: AbortSignal;
  /** When the lease is over, in milliseconds since the epoch; undefined if it never is. */
  readonly deadline: number | undefined;
  /** Milliseconds until then, by the monotonic clock; Infinity without a lease, 0 when it is over. */
  timeRemainingMs(): number;
}

/** What a sink's handler knows of a result. */
export interface ResultContext {
  /** The id of the batch. */
  readonly batch: string;
  /** The number of its job in the batch, from 0, in the order of the source. */
  readonly number: number;
  /** The attempt that made it, from 1. */
  readonly attempt: number;
}

/** What a sink is told when a batch is over. */
export interface BatchEndReport {
  /** The id of the batch. */
  readonly batch: string;
  /** `package.Service/Method` of its jobs. */
  readonly path: string;
  /** Results that a sink has acknowledged: this one, unless it was restarted meanwhile. */
  readonly done: number;
  /** Jobs that were given up. */
  readonly failed: number;
  /** Since the batch began. */
  readonly durationMs: number;
  /** Why the batch ended before all of its jobs were done or given up; undefined if it is complete. */
  readonly brokenOff: string | undefined;
}
