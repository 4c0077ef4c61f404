import { checkOptions, isAtLeast, isCount, isObject, isTime } from "./check.ts";
import type { Check } from "./check.ts";
import type { ClientMethod } from "./client-method.ts";
import { RetryInfo } from "./gen/google/rpc/error_details.pb.ts";
import { RpcError } from "./rpc-error.ts";
import { Status } from "./status.ts";
import type { StatusCode } from "./status.ts";
import { Timed, now } from "./timer-wheel.ts";
import type { TimerWheel } from "./timer-wheel.ts";

/**
 * When and how often a call is tried again that has failed. All fields are optional.
 *
 * Only calls with a single request are tried again, only before any header or message of the reply was received, and
 * never beyond the call's deadline. A call that found no connection is not: it has waited for one already.
 */
export interface RetryPolicy {
  /** Attempts in all, the first included. Default 3. */
  readonly maxAttempts?: number | undefined;
  /** Pause before the second attempt; each pause is made 20 % longer or shorter by chance. Default 50. */
  readonly initialBackoffMs?: number | undefined;
  /** Longest pause. Default 1,000. */
  readonly maxBackoffMs?: number | undefined;
  /** How much longer each pause is than the one before it. Default 2. */
  readonly backoffMultiplier?: number | undefined;
  /** The codes that are worth another attempt. Default `[Status.UNAVAILABLE]`. */
  readonly codes?: readonly StatusCode[] | undefined;
}

/**
 * Keeps retries from making an overload worse, for all calls of a channel together, as gRPC's retry throttling does:
 * each attempt that fails with a code worth another one takes a token, each call that succeeds gives `tokenRatio` of a
 * token back, and nothing is tried again while there are `maxTokens / 2` or fewer.
 */
export interface RetryBudget {
  /** Default 1,000: 500 failures in a row are tried again. Infinity for no budget. */
  readonly maxTokens?: number | undefined;
  /** Default 0.1: in the long run, one call in ten may be tried again. */
  readonly tokenRatio?: number | undefined;
}

const defaults = {
  maxAttempts: 3,
  initialBackoffMs: 50,
  maxBackoffMs: 1_000,
  backoffMultiplier: 2,
  codes: [Status.UNAVAILABLE] as readonly StatusCode[],
};
const defaultBudget = { maxTokens: 1_000, tokenRatio: 0.1 };

/** What retrying needs to know of a call. */
export interface RetriableCall {
  readonly method: ClientMethod;
  /** What its caller says of retries. */
  readonly options: { readonly retry?: RetryPolicy | false | undefined } | undefined;
  readonly deadlineMs: number;
  /** Kept here; undefined until its first attempt has failed. */
  attempts: Attempts | undefined;
  failHere(error: RpcError): void;
}

/** The attempts of one call; while it pauses before the next, the entry of the timer wheel. */
export class Attempts extends Timed {
  /** Attempts begun. */
  made = 1;
  /** Why there will not be another, where that is not plain from the policy. */
  stopped: string | undefined;
  /** What the last attempt that has failed ended with. */
  last: RpcError;
  readonly #next: () => void;

  constructor(first: RpcError, next: () => void) {
    super();
    this.last = first;
    this.#next = next;
  }

  onDeadline(): void {
    this.made += 1;
    this.#next();
  }

  /** The error of the call, with what was tried. */
  tell(error: RpcError, startedMs: number): RpcError {
    if (this.made === 1 && this.stopped === undefined && error === this.last) return error;
    const { code, details, header, trailer, cause } = error;
    const spent = `${this.made} ${this.made === 1 ? "attempt" : "attempts"} in ${Math.round(now() - startedMs)} ms`;
    const isNew = error.code !== this.last.code && error !== this.last;
    const before = isNew ? `; the one before ended ${this.last.codeName}: ${this.last.message}` : "";
    const why = this.stopped === undefined ? "" : `; not tried again: ${this.stopped}`;
    return new RpcError(code, `${error.message} (${spent}${before}${why})`.trimStart(), {
      details,
      header,
      trailer,
      cause,
    });
  }
}

/** The retries of all calls of a channel. */
export class Retries<Call extends RetriableCall> {
  readonly #wheel: TimerWheel;
  readonly #policy: RetryPolicy | false;
  readonly #maxTokens: number;
  readonly #tokenRatio: number;
  readonly #resume: (call: Call) => void;
  readonly #pausing = new Set<Call>();
  #tokens: number;

  /** `resume` begins the next attempt of a call. */
  constructor(
    wheel: TimerWheel,
    policy: RetryPolicy | false | undefined,
    budget: RetryBudget | undefined,
    resume: (call: Call) => void,
  ) {
    this.#wheel = wheel;
    this.#policy = policy ?? {};
    this.#tokens = this.#maxTokens = budget?.maxTokens ?? defaultBudget.maxTokens;
    this.#tokenRatio = budget?.tokenRatio ?? defaultBudget.tokenRatio;
    this.#resume = resume;
  }

  /** A call has ended well. */
  succeeded(): void {
    if (this.#tokens < this.#maxTokens) this.#tokens = Math.min(this.#tokens + this.#tokenRatio, this.#maxTokens);
  }

  /** An attempt has failed. True: there will be another one, unless the call is forgotten before. */
  schedule(call: Call, error: RpcError): boolean {
    const { method } = call;
    const policy = call.options?.retry ?? (method.idempotent && this.#policy);
    if (!policy || method.clientStreams || method.oneWay) return false;
    const { maxAttempts = defaults.maxAttempts, codes = defaults.codes } = policy;
    if (maxAttempts === 1 || !codes.includes(error.code)) return false;
    const attempts = (call.attempts ??= new Attempts(error, () => {
      if (this.#pausing.delete(call)) this.#resume(call);
    }));
    attempts.last = error;
    this.#tokens = Math.max(this.#tokens - 1, 0);
    if (attempts.made >= maxAttempts) return false;
    const atMs = now() + (askedPauseMs(error) ?? pauseMs(policy, attempts.made));
    if (this.#maxTokens < Infinity && this.#tokens <= this.#maxTokens / 2)
      attempts.stopped = "the channel's budget for retries is used up";
    else if (atMs >= call.deadlineMs) attempts.stopped = "its deadline would have passed before the next attempt";
    if (attempts.stopped !== undefined) return false;
    this.#pausing.add(call);
    this.#wheel.add(attempts, atMs);
    return true;
  }

  /** A call is over; it may have been about to be tried again. */
  forget(call: Call): void {
    if (call.attempts && this.#pausing.delete(call)) this.#wheel.remove(call.attempts);
  }

  /** Ends all calls that pause, each with its last error. */
  giveUp(why: string): void {
    for (const call of [...this.#pausing]) {
      const { attempts } = call;
      if (!attempts) continue;
      attempts.stopped = why;
      call.failHere(attempts.last);
    }
  }
}

/** Throws TypeError for what is neither `false` nor a policy. */
export function checkRetry(name: string, policy: unknown): void {
  if (policy === false) return;
  if (policy === true) throw new TypeError(`${name} must be a policy or false; {} is the default policy`);
  isObject(name, policy);
  checkOptions(`field of ${name}`, policy as object, {
    maxAttempts: (field, value) => {
      isCount(`${name}.${field}`, value);
      isAtLeast(1)(`${name}.${field}`, value);
    },
    initialBackoffMs: (field, value) => isTime(`${name}.${field}`, value),
    maxBackoffMs: (field, value) => isTime(`${name}.${field}`, value),
    backoffMultiplier: (field, value) => isAtLeast(1)(`${name}.${field}`, value),
    codes: (field, value) => areCodes(`${name}.${field}`, value),
  });
}

/** Throws TypeError for what is no budget. */
export function checkBudget(name: string, budget: unknown): void {
  isObject(name, budget);
  checkOptions(`field of ${name}`, budget as object, {
    maxTokens: (field, value) => isAtLeast(1)(`${name}.${field}`, value),
    tokenRatio: (field, value) => isAtLeast(0)(`${name}.${field}`, value),
  });
}

const areCodes: Check = (name, codes) => {
  const isCode = (code: unknown): boolean => typeof code === "number" && code > 0 && statusCodes.includes(code);
  if (Array.isArray(codes) && codes.length > 0 && codes.every(isCode)) return;
  throw new TypeError(`${name} must be an array of status codes other than OK, such as [Status.UNAVAILABLE]`);
};

const statusCodes: readonly number[] = Object.values(Status);

function pauseMs(policy: RetryPolicy, made: number): number {
  const { initialBackoffMs = defaults.initialBackoffMs, maxBackoffMs = defaults.maxBackoffMs } = policy;
  const { backoffMultiplier = defaults.backoffMultiplier } = policy;
  // Nothing grows to nothing, however often: the product would be NaN once the power is Infinity.
  const grown = initialBackoffMs === 0 ? 0 : initialBackoffMs * backoffMultiplier ** (made - 1);
  const pause = Math.min(grown, maxBackoffMs);
  return pause * (0.8 + 0.4 * Math.random());
}

/** How long the server asks to be left alone, in a `google.rpc.RetryInfo`. */
function askedPauseMs(error: RpcError): number | undefined {
  if (error.details.length === 0) return undefined;
  try {
    const asked = error.detail(RetryInfo)?.retryDelay;
    return asked && Math.max(Number(asked.seconds) * 1000 + asked.nanos / 1e6, 0);
  } catch {
    // What cannot be read is not asked.
    return undefined;
  }
}
