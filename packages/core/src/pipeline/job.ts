import type { CallOwner, Settle } from "../call-owner.ts";
import { ClientCall } from "../caller.ts";
import type { ClientMethod } from "../client-method.ts";
import type { ClientSession } from "../client-session.ts";
import type { Acknowledgement } from "../gen/zerobind/v1/pipeline.pb.ts";
import { RpcError } from "../rpc-error.ts";
import { Status } from "../status.ts";
import { Timed, now } from "../timer-wheel.ts";
import { errorIn } from "./outcome.ts";

/**
 * What became of a job that was given out.
 *
 * - `done`: acknowledged.
 * - `failed`: the worker's handler threw, or the sink's did.
 * - `lost`: its worker is gone, or its lease over.
 * - `returned`: the worker gave it back, with nothing against it.
 * - `unseen`: no handler can have seen it.
 * - `unsendable`: there is no message that could be sent.
 */
export type Fate = "done" | "failed" | "lost" | "returned" | "unseen" | "unsendable";

/** Whoever a job belongs to. */
export interface JobOwner {
  readonly leaseMs: number;
  /** What was given out is over. */
  settled(job: Job, fate: Fate, error: RpcError | undefined): void;
  /** The pause of a job is over. */
  resume(job: Job): void;
}

/** The call that carries a job to a worker; its deadline is the end of the lease. */
class JobCall extends ClientCall {
  isLost = false;
  readonly #worker: ClientSession;

  constructor(calls: CallOwner, worker: ClientSession, job: Job, method: ClientMethod, leaseMs: number) {
    const startedMs = now();
    const deadlineMs = startedMs + leaseMs;
    super(calls, method, { request: job.request, options, metadata: undefined, startedMs, deadlineMs }, job);
    this.#worker = worker;
  }

  /** No worker has it: it was not sent, or refused before a handler saw it. */
  get isUnseen(): boolean {
    return this.joined === undefined;
  }

  override lost(reason: string, unsent: boolean): void {
    this.isLost = !unsent;
    super.lost(reason, unsent);
  }

  override onDeadline(): void {
    super.onDeadline();
    // One that hangs would have nothing to do, and so be the first to be given the next job.
    if (this.#worker.heardMs < this.startedMs) this.#worker.doubt(this.deadlineMs - this.startedMs);
  }
}

/** A job outlives the handler, if any, that it was read in. */
const options = { detached: true, retry: false } as const;

/** Something that a worker is to do and to acknowledge: a job, or to tell the sink of the end of a batch. */
export class Job extends Timed implements Settle {
  readonly method: ClientMethod;
  /** Of the job in its batch; -1 for the end. */
  readonly number: number;
  /** As the source gave it. */
  readonly body: unknown;
  /** Attempts that have failed and count. */
  attempts = 0;
  /** How often in a row it was given back, or refused, with nothing against it. */
  returns = 0;
  /** How often it was given out. */
  given = 0;
  readonly #owner: JobOwner;
  readonly #toRequest: (job: Job) => unknown;
  #call: JobCall | undefined;
  #beginning = false;

  constructor(
    owner: JobOwner,
    method: ClientMethod,
    toRequest: (job: Job) => unknown,
    number: number = -1,
    body?: unknown,
  ) {
    super();
    this.#owner = owner;
    this.method = method;
    this.#toRequest = toRequest;
    this.number = number;
    this.body = body;
  }

  get request(): unknown {
    return this.#toRequest(this);
  }

  /** Gives it to a worker that has room. */
  giveTo(worker: ClientSession, calls: CallOwner): void {
    this.given += 1;
    const call = (this.#call = new JobCall(calls, worker, this, this.method, this.#owner.leaseMs));
    if (!call.arm()) return;
    this.#beginning = true;
    worker.begin(call);
    this.#beginning = false;
  }

  /** Takes it away from the worker that has it. */
  cancel(reason: unknown): void {
    this.#call?.cancel(reason);
  }

  onDeadline(): void {
    this.#owner.resume(this);
  }

  resolve(value: unknown): void {
    this.#call = undefined;
    const { outcome } = value as Acknowledgement;
    const fate = outcome === undefined ? "done" : outcome.$case;
    this.#owner.settled(this, fate, errorIn(value as Acknowledgement));
  }

  reject(error: RpcError): void {
    const call = this.#call;
    this.#call = undefined;
    const isBeginning = this.#beginning;
    this.#beginning = false;
    if (call?.isLost) {
      const why = error.message.replace(/; whether it was carried out.*$/s, "");
      return this.#owner.settled(this, "lost", new RpcError(error.code, `its worker was lost: ${why}`));
    }
    if (error.code === Status.DEADLINE_EXCEEDED) return this.#owner.settled(this, "lost", leaseOver(this.#owner));
    // Once it is on its way, nothing but a worker that goes away ends UNAVAILABLE: what handlers throw is in replies.
    if (!call || call.isUnseen) return this.#owner.settled(this, "unseen", error);
    if (error.code === Status.UNAVAILABLE) return this.#owner.settled(this, "returned", error);
    this.#owner.settled(this, isBeginning ? "unsendable" : "failed", error);
  }
}

function leaseOver({ leaseMs }: JobOwner): RpcError {
  return new RpcError(Status.DEADLINE_EXCEEDED, `its lease of ${leaseMs} ms was over before it was done`);
}

const maxPauseMs = 5_000;

/** How long a job pauses after its nth failure in a row, about; twice as long each time, at most 5 s. */
export function pauseMs(firstMs: number, times: number): number {
  return Math.min(firstMs * 2 ** Math.min(times - 1, 30), maxPauseMs) * (0.8 + 0.4 * Math.random());
}
