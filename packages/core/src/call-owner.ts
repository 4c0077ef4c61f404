import type { CallPort } from "./call-half.ts";
import type { CallOptions } from "./call-options.ts";
import type { Limits } from "./limits.ts";
import type { Metadata } from "./metadata.ts";
import type { RetriableCall } from "./retry.ts";
import type { RpcError } from "./rpc-error.ts";
import type { TimerWheel } from "./timer-wheel.ts";

/** The session as a call of its caller sees it. */
export interface CallerPort extends CallPort {
  /** Number of a method that the peer has heard of; 0 if it has not. */
  numberOf(path: string): number;
  /** The number that a CALL may introduce a method with, always the same for it; 0 if there are none left. */
  nextNumber(path: string): number;
  /** The peer has heard of it, or will before anything that is written later. */
  introduced(path: string, number: number): void;
  readonly link: { readonly remoteAddress: string };
  /** The call needs its session no more. */
  finished(call: OwnedCall): void;
}

/** What a call is made of. */
export interface GivenCall {
  readonly request: unknown;
  readonly options: CallOptions | undefined;
  readonly metadata: Metadata | undefined;
  /** When the call was made and when it must be over, on the monotonic clock. */
  readonly startedMs: number;
  readonly deadlineMs: number;
}

/** How a caller hears of a single reply. */
export interface Settle {
  resolve(value: unknown): void;
  reject(error: RpcError): void;
}

/** A call as its owner sees it. */
export interface OwnedCall extends RetriableCall {
  readonly id: number;
  readonly waitsForReady: boolean;
  /** Since when it waits for a session, on the monotonic clock; undefined while it does not. Kept by its owner. */
  queuedMs: number | undefined;
}

/** Whoever started a call. */
export interface CallOwner {
  readonly wheel: TimerWheel;
  readonly limits: Limits;
  /** For error messages. */
  readonly address: string;
  /** A call that no session has is over. */
  withdrawn(call: OwnedCall): void;
  /** No handler saw the call, so it may be sent again. False: the owner does not want to. */
  restart(call: OwnedCall): boolean;
  /** The call has failed in a way that may be worth another attempt, and no session has it. False: it is not made. */
  retry(call: OwnedCall, error: RpcError): boolean;
  /** A call has ended well. */
  succeeded(): void;
  /** What a call that no session has still waits for, for error messages. */
  missing(call: OwnedCall): string;
}
