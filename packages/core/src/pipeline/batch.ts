import type { ClientMethod } from "../client-method.ts";
import type { BatchEnd } from "../gen/zerobind/v1/pipeline.pb.ts";
import type { BatchOptions, BatchProgress, BatchReport, DeadLetter, JobBatch } from "../pipeline-types.ts";
import { RpcError } from "../rpc-error.ts";
import { unwatchSignal, watchSignal } from "../signal-watch.ts";
import type { Cancellable } from "../signal-watch.ts";
import { Status } from "../status.ts";
import { now } from "../timer-wheel.ts";
import { EndTeller } from "./batch-end.ts";
import type { Dealer, DealtBatch } from "./dealer.ts";
import { batchName } from "./envelope.ts";
import { Job, pauseMs } from "./job.ts";
import type { Fate, JobOwner } from "./job.ts";
import { JobReader } from "./job-reader.ts";
import type { JobTaker } from "./job-reader.ts";
import { ProgressReporter, RateMeter, guardedCallback, progressOf, sizeOf } from "./progress.ts";
import type { Counts } from "./progress.ts";

/** Dead letters that a report has. */
const maxReported = 1_000;
/** Before a job is dealt again that was given back with nothing against it. */
const returnPauseMs = 50;

/** What a batch is made of; the options have their defaults. */
export interface GivenBatch {
  readonly path: string;
  readonly job: ClientMethod;
  readonly end: ClientMethod;
  readonly options: BatchOptions<unknown> & { readonly leaseMs: number; readonly maxAttempts: number };
  readonly onTrouble: (problem: string) => void;
  /** It has ended, for whoever began it. */
  readonly onOver: (batch: Batch) => void;
}

/** The jobs of one source on their way through the workers, until the sink knows of the end. */
export class Batch implements JobBatch, JobOwner, JobTaker, DealtBatch, Cancellable {
  readonly id: string;
  readonly finished: Promise<BatchReport>;
  readonly leaseMs: number;
  readonly #given: GivenBatch;
  readonly #dealer: Dealer;
  readonly #bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  readonly #startedMs = now();
  readonly #counts: Counts = { total: undefined, read: 0, running: 0, done: 0, failed: 0, retried: 0 };
  readonly #rate = new RateMeter();
  readonly #reporter: ProgressReporter;
  readonly #reader: JobReader;
  readonly #running = new Set<Job>();
  readonly #pausing = new Set<Job>();
  readonly #deadLetters: DeadLetter<unknown>[] = [];
  /** Given out before, and to be given out before all others. */
  readonly #again: Job[] = [];
  readonly #fresh: Job[] = [];
  #state: "reading" | "read" | "ending" | "over" = "reading";
  /** What the source threw; the batch ends with it when what was read is done. */
  #thrown: { readonly error: unknown } | undefined;
  #isClosing = false;
  #settle!: { resolve: (report: BatchReport) => void; reject: (error: unknown) => void };

  constructor(dealer: Dealer, given: GivenBatch) {
    this.id = batchName(this.#bytes);
    this.#dealer = dealer;
    this.#given = given;
    const { leaseMs, onProgress, progressIntervalMs = 100 } = given.options;
    this.leaseMs = leaseMs;
    this.finished = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    // Whoever does not look at it does not want to know.
    this.finished.catch(() => undefined);
    const tell = onProgress && (() => this.#call("onProgress", () => onProgress(this.progress)));
    this.#reporter = new ProgressReporter(dealer.wheel, progressIntervalMs, tell);
    this.#reader = new JobReader(given.path, this);
  }

  get progress(): BatchProgress {
    return progressOf(this.#counts, this.#rate);
  }

  get ahead(): number {
    return this.#fresh.length;
  }

  get hasReady(): boolean {
    return this.#again.length > 0 || this.#fresh.length > 0;
  }

  /** Begins to read and to deal. */
  start(jobs: unknown): void {
    this.#counts.total = sizeOf(jobs);
    const { signal } = this.#given.options;
    if (signal?.aborted) return this.cancel(signal.reason);
    if (signal) watchSignal(signal, this);
    this.#dealer.add(this);
    void this.#reader.read(jobs);
  }

  next(): Job {
    const job = this.#again.shift() ?? this.#fresh.shift();
    if (!job) throw new Error("the batch has no job that is ready");
    this.#running.add(job);
    this.#counts.running += 1;
    if (job.given > 0) this.#counts.retried += 1;
    this.#reporter.changed();
    this.#reader.wake();
    return job;
  }

  take(body: object): void {
    const toRequest = ({ number, attempts }: Job) => ({ batch: this.#bytes, number, attempt: attempts + 1, body });
    this.#fresh.push(new Job(this, this.#given.job, toRequest, this.#counts.read, body));
    this.#counts.read += 1;
    this.#reporter.changed();
    this.#dealer.dealSoon();
  }

  exhausted(thrown: { readonly error: unknown } | undefined): void {
    this.#counts.total = this.#counts.read;
    this.#thrown = thrown;
    this.#state = "read";
    this.#look();
  }

  settled(job: Job, fate: Fate, error: RpcError | undefined): void {
    if (!this.#running.delete(job) || this.#state === "over") return;
    this.#counts.running -= 1;
    this.#reporter.changed();
    if (!error) this.#counts.done += 1;
    else if (!this.#isClosing) this.#retry(job, fate, error);
    this.#look();
  }

  resume(job: Job): void {
    if (!this.#pausing.delete(job)) return;
    this.#again.push(job);
    this.#dealer.dealSoon();
  }

  cancel(reason?: unknown): void {
    if (this.#state === "over") return;
    const { message } = (typeof reason === "object" && reason !== null ? reason : {}) as Partial<Error>;
    const said = typeof reason === "string" ? reason : message;
    const why = said === undefined || said === "" ? "" : `: ${said}`;
    const error = new RpcError(Status.CANCELLED, `the batch of ${this.#given.path} was cancelled${why}`, {
      cause: reason,
    });
    // A sink that has heard nothing of the batch need not hear of its end.
    const isKnown = this.#state !== "ending" && this.#counts.read > this.#fresh.length;
    this.fail(error);
    if (isKnown) this.#endTeller(error.message, () => undefined).start();
  }

  /** Ends it at once. */
  fail(error: unknown): void {
    if (this.#state === "over") return;
    const running = [...this.#running];
    this.#over();
    this.#settle.reject(error);
    for (const job of running) job.cancel(error);
  }

  /** Its ventilator is closing: nothing more is read, and nothing is tried again. */
  stop(): void {
    this.#isClosing = true;
    this.#reader.stop();
  }

  /** What becomes of a job whose attempt has come to nothing. */
  #retry(job: Job, fate: Fate, error: RpcError): void {
    // At once if its worker is gone; one that refuses all that it gets must not get it all the time.
    if (fate === "unseen") return this.#pause(job, job.returns++ === 0 ? 0 : pauseMs(returnPauseMs, job.returns));
    if (fate === "returned") return this.#pause(job, pauseMs(returnPauseMs, ++job.returns));
    if (fate === "unsendable") return this.#bury(job, error);
    job.attempts += 1;
    job.returns = 0;
    const { maxAttempts, backoffMs = 100 } = this.#given.options;
    if (job.attempts >= maxAttempts) this.#bury(job, error);
    else this.#pause(job, fate === "failed" ? pauseMs(backoffMs, job.attempts) : 0);
  }

  #pause(job: Job, ms: number): void {
    this.#pausing.add(job);
    if (ms === 0) this.resume(job);
    else this.#dealer.wheel.add(job, now() + ms);
  }

  #bury({ body, number, attempts }: Job, error: Error): void {
    this.#counts.failed += 1;
    const letter = { job: body as object, number, attempts, error };
    if (this.#deadLetters.length < maxReported) this.#deadLetters.push(letter);
    const { onDeadLetter } = this.#given.options;
    if (onDeadLetter) this.#call("onDeadLetter", () => onDeadLetter(letter));
  }

  /** Tells the sink of the end once there is nothing left to do. */
  #look(): void {
    const { read, done, failed } = this.#counts;
    if (this.#state !== "read" || done + failed < read) return;
    this.#state = "ending";
    this.#dealer.remove(this);
    const broken = this.#thrown ? `its source failed: ${RpcError.from(this.#thrown.error).message}` : "";
    this.#endTeller(broken, (error) => this.#ended(error)).start();
  }

  #ended(error: RpcError | undefined): void {
    if (this.#state === "over") return;
    this.#over();
    if (this.#thrown) return this.#settle.reject(this.#thrown.error);
    if (error) return this.#settle.reject(error);
    const { done, failed } = this.#counts;
    const durationMs = now() - this.#startedMs;
    const ratePerSecond = (done * 1_000) / Math.max(durationMs, 1);
    this.#settle.resolve({ batch: this.id, done, failed, deadLetters: this.#deadLetters, durationMs, ratePerSecond });
  }

  #endTeller(brokenOff: string, onTold: (error: RpcError | undefined) => void): EndTeller {
    const toRequest = (): BatchEnd => ({
      batch: this.#bytes,
      done: BigInt(this.#counts.done),
      failed: BigInt(this.#counts.failed),
      durationMs: now() - this.#startedMs,
      brokenOff,
    });
    const { end, options } = this.#given;
    return new EndTeller(this.#dealer, end, options, toRequest, onTold);
  }

  /** Lets go of everything, so that only the promise is left to be settled. */
  #over(): void {
    this.#state = "over";
    this.#dealer.remove(this);
    this.#reader.stop();
    for (const job of this.#pausing) this.#dealer.wheel.remove(job);
    this.#pausing.clear();
    this.#running.clear();
    this.#again.length = this.#fresh.length = 0;
    const { signal } = this.#given.options;
    if (signal) unwatchSignal(signal, this);
    this.#reporter.end();
    this.#given.onOver(this);
  }

  #call(name: string, callback: () => unknown): void {
    guardedCallback(`${name} of a batch of ${this.#given.path}`, callback, this.#given.onTrouble);
  }
}
