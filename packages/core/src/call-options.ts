import { areCredentials } from "./call-credentials.ts";
import type { CallCredentials } from "./call-credentials.ts";
import { checkOptions, isBoolean, isFunction, isTime, kindOf } from "./check.ts";
import type { Checks } from "./check.ts";
import type { ClientMethod } from "./client-method.ts";
import type { Peer } from "./context.ts";
import type { Metadata, MetadataInit } from "./metadata.ts";
import { checkRetry } from "./retry.ts";
import type { RetryPolicy } from "./retry.ts";

/** What a caller may say of one call. All are optional; the object is read when the call is made and not kept. */
export interface CallOptions {
  /**
   * How long to wait, in milliseconds; Infinity for ever. At 0 the call ends at once, with no traffic. Default: the
   * method's own timeout, else the channel's (30 s). The call ends DEADLINE_EXCEEDED on both ends when it is over.
   */
  readonly timeoutMs?: number | undefined;
  /** The same as a point in time: a Date, or milliseconds since the epoch. Not together with `timeoutMs`. */
  readonly deadline?: Date | number | undefined;
  /** Cancels the call on both ends when it aborts; its reason becomes the error's `cause`. */
  readonly signal?: AbortSignal | undefined;
  /**
   * What its caller says of itself, beside `metadata` and in the place of what that has under the same keys; it wins over
   * the channel's, so `{}` is for none. A function is asked for each attempt, after the interceptors and without them
   * seeing it; the time that it takes is the call's, and what it throws ends the call UNAUTHENTICATED, as its `cause`.
   */
  readonly callCredentials?: CallCredentials | undefined;
  /** Sent with the request; copied when the call is made. */
  readonly metadata?: MetadataInit | undefined;
  /**
   * While there is no connection: wait for one until the deadline, instead of failing with UNAVAILABLE after the
   * channel's connect timeout. Default false.
   */
  readonly waitForReady?: boolean | undefined;
  /**
   * Makes the call outlive the handler that it is made in. By default a call that a handler makes has to end by the
   * deadline of the call that the handler answers, and is cancelled when that one is cancelled; one that others shall
   * use, too, such as a subscription that is kept, must be detached. Default false.
   */
  readonly detached?: boolean | undefined;
  /**
   * When to try the call again if it fails, whatever the channel says and whether or not its method is idempotent;
   * `false` for never. Default: the channel's policy for idempotent methods, never for others. Not for methods that
   * stream requests, which cannot be sent twice (TypeError).
   */
  readonly retry?: RetryPolicy | false | undefined;
  /**
   * Whether requests are compressed, where the binding has a compression that the server knows: `false` never, as where
   * secrets and text of others stand side by side; `true` also below the threshold. Default: what reaches the threshold.
   */
  readonly compress?: boolean | undefined;
  /** Called when the call is sent, with the server that gets it; once more for each further attempt. */
  readonly onPeer?: ((peer: Peer) => void) | undefined;
  /** Called at most once, with the header block of the reply, before the first message; not for attempts that are tried again. */
  readonly onHeader?: ((header: Metadata) => void) | undefined;
  /** Called at most once, with the trailer block of the reply, when the call has ended on the server; for the last attempt only. */
  readonly onTrailer?: ((trailer: Metadata) => void) | undefined;
}

/** Throws TypeError, naming the option, for what a call cannot be given. */
export function checkCallOptions(options: CallOptions, { path, clientStreams }: ClientMethod): void {
  checkOptions("call option", options, callChecks);
  if (clientStreams && options.retry)
    throw new TypeError(`${path} streams its requests, which cannot be sent twice: it cannot have a retry policy`);
}

/** What each of them may be. */
export const callChecks: Checks = {
  timeoutMs: isTime,
  // Looked at when the deadline is worked out.
  deadline: () => undefined,
  signal: (name, value) => {
    const { aborted, addEventListener } = (value ?? {}) as Partial<AbortSignal>;
    if (typeof aborted === "boolean" && typeof addEventListener === "function") return;
    throw new TypeError(`${name} must be an AbortSignal, such as controller.signal, not ${kindOf(value)}`);
  },
  metadata: (name, value) => {
    if (typeof value === "object" && value !== null) return;
    const kinds = 'a Metadata, an object such as { key: "value" }, or pairs';
    throw new TypeError(`${name} must be ${kinds}, not ${kindOf(value)}`);
  },
  callCredentials: areCredentials,
  waitForReady: isBoolean,
  detached: isBoolean,
  retry: checkRetry,
  compress: isBoolean,
  onPeer: isFunction,
  onHeader: isFunction,
  onTrailer: isFunction,
};

/** When a call must be over that is made at `startedMs`, both on the monotonic clock. TypeError for a deadline that is none. */
export function deadlineOf(options: CallOptions | undefined, defaultTimeoutMs: number, startedMs: number): number {
  const { timeoutMs, deadline } = options ?? {};
  if (deadline === undefined) return startedMs + (timeoutMs ?? defaultTimeoutMs);
  if (timeoutMs !== undefined) throw new TypeError("give timeoutMs or deadline, not both");
  const at = deadline instanceof Date ? deadline.getTime() : deadline;
  if (typeof at !== "number" || Number.isNaN(at)) {
    const given = deadline instanceof Date ? "an invalid Date" : kindOf(deadline);
    throw new TypeError(`deadline must be a Date or milliseconds since the epoch, not ${given}`);
  }
  return startedMs + (at - Date.now());
}
