import type { MessageInit } from "./contract.ts";
import type { RequestStream } from "./stream.ts";

/** Where the jobs of a batch come from. It is read no faster than workers take jobs. */
export type JobSource<T> = RequestStream<T>;

/** How far a batch has come. */
export interface BatchProgress {
  /** Jobs that are known so far: those that were read from the source. */
  readonly total: number;
  /** Jobs whose result the sink has taken. */
  readonly done: number;
  /** Jobs that a worker holds. */
  readonly running: number;
  /** Jobs that were given up. */
  readonly failed: number;
  /** Jobs done per second, of late. */
  readonly ratePerSecond: number;
}

/** A job that was given up. */
export interface DeadLetter<T> {
  readonly job: MessageInit<T>;
  /** Its number in the batch, from 0. */
  readonly number: number;
  /** How often it was tried. */
  readonly attempts: number;
  /** Why the last attempt failed. */
  readonly error: Error;
}

/** What a batch of jobs of the message `T` is told. */
export interface BatchOptions<T> {
  /** How often a job is tried before it is given up. */
  readonly maxAttempts?: number | undefined;
  /** How long a worker may hold a job without a sign of life before it goes to another one. */
  readonly leaseMs?: number | undefined;
  /** Told of jobs that are given up. */
  readonly onDeadLetter?: ((letter: DeadLetter<T>) => void) | undefined;
  /** Told how far the batch has come, now and then and at its end. */
  readonly onProgress?: ((progress: BatchProgress) => void) | undefined;
  /** Cancels the batch when it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/** How a batch ended. */
export interface BatchReport extends BatchProgress {
  readonly batch: string;
  /** Whether it ended because it was cancelled. */
  readonly cancelled: boolean;
  readonly durationMs: number;
}

/** A batch of jobs on its way. */
export interface JobBatch {
  /** Resolves when every job is done or given up, or the batch was cancelled. */
  readonly finished: Promise<BatchReport>;
  readonly progress: BatchProgress;
  /** No further job is given out; those that workers hold are cancelled. */
  cancel(): void;
}

/** What a worker knows of a job. */
export interface JobContext {
  readonly batch: string;
  /** Its number in the batch, from 0. */
  readonly number: number;
  /** From 1. */
  readonly attempt: number;
  /** Aborts when the job is not wanted any more, or another worker has got it. */
  readonly signal: AbortSignal;
  /** How long the job is still this worker's, in milliseconds. */
  readonly leaseRemainingMs: number;
}

/** What a sink knows of a result. */
export interface ResultContext {
  readonly batch: string;
  /** The number of its job in the batch, from 0. */
  readonly number: number;
  /** The attempt that made it, from 1. */
  readonly attempt: number;
}
