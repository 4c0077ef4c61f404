import type { Peer } from "./context.ts";
import type { Metadata, MetadataInit } from "./metadata.ts";
import { now } from "./timer-wheel.ts";

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
  /** Sent with the request. */
  readonly metadata?: MetadataInit | undefined;
  /**
   * While there is no connection: wait for one until the deadline, instead of failing with UNAVAILABLE after the
   * channel's connect timeout. Default false.
   */
  readonly waitForReady?: boolean | undefined;
  /**
   * Makes the call outlive the handler that it is made in. By default a call that a handler makes has to end by the
   * deadline of the call that the handler answers, and is cancelled when that one is cancelled. Default false.
   */
  readonly detached?: boolean | undefined;
  /** Called when the call is sent, with the server that gets it. */
  readonly onPeer?: ((peer: Peer) => void) | undefined;
  /** Called at most once, with the header block of the reply, before the first message. */
  readonly onHeader?: ((header: Metadata) => void) | undefined;
  /** Called at most once, with the trailer block of the reply, when the call has ended on the server. */
  readonly onTrailer?: ((trailer: Metadata) => void) | undefined;
}

/** When a call must be over, on the monotonic clock. TypeError for times that are none. */
export function deadlineOf(options: CallOptions | undefined, defaultTimeoutMs: number): number {
  const { timeoutMs, deadline } = options ?? {};
  if (deadline !== undefined) {
    if (timeoutMs !== undefined) throw new TypeError("give timeoutMs or deadline, not both");
    const at = deadline instanceof Date ? deadline.getTime() : deadline;
    if (typeof at !== "number" || Number.isNaN(at)) {
      throw new TypeError(`deadline must be a Date or milliseconds since the epoch, not ${String(deadline)}`);
    }
    return now() + (at - Date.now());
  }
  if (timeoutMs === undefined) return now() + defaultTimeoutMs;
  checkTimeout("timeoutMs", timeoutMs);
  return now() + timeoutMs;
}

/** Throws TypeError for what is no time to wait: anything but a number from 0 to Infinity. */
export function checkTimeout(name: string, value: unknown): void {
  if (typeof value === "number" && value >= 0) return;
  throw new TypeError(
    `${name} must be a number of milliseconds, 0 or more (Infinity for no limit), not ${String(value)}`,
  );
}
