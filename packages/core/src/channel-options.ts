import type { Balance } from "./balance.ts";
import { areCredentials } from "./call-credentials.ts";
import type { CallCredentials } from "./call-credentials.ts";
import { areFunctions, isCount, isFunction, isOneOf, isTime } from "./check.ts";
import type { Checks } from "./check.ts";
import type { HandlerFailure } from "./handler-failure.ts";
import { endChecks } from "./end.ts";
import type { EndOptions } from "./end.ts";
import type { Interceptor } from "./interceptor.ts";
import { checkBudget, checkRetry } from "./retry.ts";
import type { RetryBudget, RetryPolicy } from "./retry.ts";

/** How a channel behaves. Times are in milliseconds. */
export interface ChannelOptions extends EndOptions {
  /** Which side of the connection it is: a client may as well bind, and servers then attach to it. Default `connect`. */
  readonly attach?: "bind" | "connect" | undefined;
  /** How long calls wait that name no time, and whose method names none. Default 30,000; Infinity for no limit. */
  readonly timeoutMs?: number | undefined;
  /** How long a call without `waitForReady` waits for a connection before it ends UNAVAILABLE. Default 10,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Calls that may wait for a connection or for the server's credit; more end RESOURCE_EXHAUSTED. Default 10,000. */
  readonly maxQueuedCalls?: number | undefined;
  /**
   * How calls are spread over several addresses, one by one; a stream stays where it began. An address that is not
   * there gets none.
   *
   * - `round-robin`, the default: in turn.
   * - `least-in-flight`: to where the fewest calls of this channel are open.
   * - `first`: to the first address that is there, in the order given; to an earlier one again as soon as it is back.
   */
  readonly balance?: Balance | undefined;
  /**
   * How calls are tried again whose methods the contract calls idempotent or free of side effects; `false` for never.
   * Default: up to 3 attempts when they end UNAVAILABLE. Other calls are only where `CallOptions.retry` says so.
   */
  readonly retry?: RetryPolicy | false | undefined;
  /** Bounds the retries of all calls together. */
  readonly retryBudget?: RetryBudget | undefined;
  /** Of all calls that have none of their own; see `CallOptions.callCredentials`. Copied unless it is a function. */
  readonly callCredentials?: CallCredentials | undefined;
  /** Run around every call of every client, the first outermost. */
  readonly interceptors?: readonly Interceptor[] | undefined;
  /** Told of what handlers of callbacks throw and servers do not get to see. Default: `console.error`. */
  readonly onError?: ((error: unknown, failure: HandlerFailure) => void) | undefined;
}

/** What each of them may be. */
export const channelChecks: Checks = {
  ...endChecks,
  attach: isOneOf("bind", "connect"),
  timeoutMs: isTime,
  connectTimeoutMs: isTime,
  maxQueuedCalls: isCount,
  balance: isOneOf("round-robin", "least-in-flight", "first"),
  retry: checkRetry,
  retryBudget: checkBudget,
  callCredentials: areCredentials,
  interceptors: areFunctions,
  onError: isFunction,
};
