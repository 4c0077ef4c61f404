import type { ParentCall } from "./ambient.ts";
import type { CallOptions } from "./call-options.ts";
import { kindOf } from "./check.ts";
import { StrangeCompressionError } from "./compression.ts";
import { FullError, TooLargeError } from "./outgoing.ts";
import { RpcError, isRpcError } from "./rpc-error.ts";
import { Status } from "./status.ts";
import type { StatusCode } from "./status.ts";
import { now } from "./timer-wheel.ts";

/** How a call is named in its errors: `package.Service/Method at tcp://…`. The texts below go on from there. */
type Where = string;

/** The call was cancelled, by its caller or since the call has ended that it was made for. */
export function cancelled(where: Where, reason: unknown, parent: ParentCall | undefined): RpcError {
  if (parent?.signal.aborted && parent.signal.reason === reason) return parentEnded(where, parent.path, reason);
  return new RpcError(Status.CANCELLED, `${where} was cancelled by its caller${because(reason)}`, { cause: reason });
}

function parentEnded(where: Where, parent: string, reason: unknown): RpcError {
  const isLate = isRpcError(reason) && reason.code === Status.DEADLINE_EXCEEDED;
  const why = isRpcError(reason) ? `: ${reason.message}` : "";
  const text = isLate
    ? `${where} was ended by the deadline of its parent call ${parent}, whose handler made it`
    : `${where} was cancelled with its parent call ${parent}, whose handler made it${why}`;
  return new RpcError(isLate ? Status.DEADLINE_EXCEEDED : Status.CANCELLED, text, { cause: reason });
}

/** A call whose time is over, with what its caller had said. */
interface TimedCall {
  readonly startedMs: number;
  readonly deadlineMs: number;
  readonly options: CallOptions | undefined;
}

/**
 * The deadline has passed: the call's own, or the one of its parent, and `missing` says what the call was still waiting
 * for where it was not on its way.
 */
export function deadlinePassed(
  where: Where,
  { startedMs, deadlineMs, options }: TimedCall,
  parent: ParentCall | undefined,
  missing: string | undefined,
): RpcError {
  const isOwn = parent?.deadlineMs !== deadlineMs;
  const whose = isOwn ? "its deadline" : `the deadline of its parent call ${parent.path}`;
  const givenMs = (isOwn ? options?.timeoutMs : undefined) ?? deadlineMs - startedMs;
  if (deadlineMs <= startedMs) {
    const text = `${where} was not sent: ${whose} had already passed when it was made; give it more time (timeoutMs)`;
    return new RpcError(Status.DEADLINE_EXCEEDED, text);
  }
  const state = missing ?? "the server had not answered";
  return new RpcError(
    Status.DEADLINE_EXCEEDED,
    `${where} did not end within ${whose} of ${shortMs(givenMs)} ms; after ${shortMs(now() - startedMs)} ms ${state}`,
  );
}

function shortMs(ms: number): number {
  return ms < 10 ? Math.ceil(ms * 10) / 10 : Math.round(ms);
}

/** The session of the call is gone. */
export function connectionLost(where: Where, reason: string, unsent: boolean, idempotent: boolean): RpcError {
  const unknown = "whether it was carried out is not known";
  const sent = idempotent ? unknown : `${unknown}, so it was not tried again (see the option retry)`;
  const known = unsent ? "it had not been sent" : sent;
  return new RpcError(Status.UNAVAILABLE, `${where}: ${reason}; ${known}`);
}

/** The request cannot be sent, as `problem` says; what an encoder says in its own words stays as it is. */
export function unsendable(where: Where, thrown: unknown, problem: RpcError): RpcError {
  if (thrown === problem) return problem;
  return new RpcError(problem.code, `${where} was not sent: ${problem.message}`, { cause: problem.cause });
}

/** The source of the call's requests threw; an RpcError stays as it is. */
export function sourceFailed(where: Where, thrown: unknown): RpcError {
  if (isRpcError(thrown)) return thrown;
  const { code, message } = RpcError.from(thrown);
  return new RpcError(code, `${where}: the source of its requests threw: ${message}`, { cause: thrown });
}

/** The channel was closed, and the call was still open. */
export function channelClosed(where: Where, graceful: boolean): RpcError {
  const why = graceful
    ? "its channel was closed, and the call had not ended within the time for that (the channel's drainTimeoutMs)"
    : "its channel was aborted";
  return new RpcError(Status.CANCELLED, `${where} was cancelled: ${why}`);
}

/** What an abort was given as its reason, where that is a text worth showing. */
function because(reason: unknown): string {
  if (reason === undefined || isRpcError(reason)) return "";
  if (typeof reason === "string") return `: ${reason}`;
  const { name, message } = (typeof reason === "object" && reason !== null ? reason : {}) as Partial<Error>;
  // The runtime's own words for "no reason" say nothing that is not said already.
  return typeof message === "string" && message !== "" && name !== "AbortError" ? `: ${message}` : "";
}

/** What was given as a message of a stream is none. */
export function noMessage(item: unknown): Error {
  return new TypeError(`a message must be an object, not ${kindOf(item)}`);
}

/** A message cannot be sent; `maxBytes` is the peer's limit. */
export function notEncoded(type: string, thrown: unknown, maxBytes: number | undefined): RpcError {
  if (isRpcError(thrown)) return thrown;
  if (thrown instanceof TooLargeError) {
    const text = `the ${type} has ${thrown.byteLength} bytes encoded, more than the ${maxBytes} that the peer accepts (its limit maxMessageBytes)`;
    return new RpcError(Status.RESOURCE_EXHAUSTED, text);
  }
  if (thrown instanceof FullError) {
    const text = `${thrown.message} already, which reads too slowly; 8 times the server's limit maxHeldBytes may wait`;
    return new RpcError(Status.RESOURCE_EXHAUSTED, text);
  }
  const why = RpcError.from(thrown).message;
  return new RpcError(Status.INTERNAL, `the ${type} cannot be encoded: ${why}`, { cause: thrown });
}

/** A message that came is too large for this end. */
export function tooLarge(type: string, bytes: number, maxBytes: number): RpcError {
  const text = `the ${type} that came has at least ${bytes} bytes, more than the ${maxBytes} that are accepted (limit maxMessageBytes of the receiver)`;
  return new RpcError(Status.RESOURCE_EXHAUSTED, text);
}

/** A message that came cannot be read; `strange` is the status for one whose compression is not known. */
export function notDecoded(type: string, thrown: unknown, maxBytes: number, strange: StatusCode): RpcError {
  if (thrown instanceof TooLargeError) return tooLarge(type, thrown.byteLength, maxBytes);
  const why = thrown instanceof Error ? thrown.message : String(thrown);
  if (thrown instanceof StrangeCompressionError) return new RpcError(strange, `the ${type} that came is ${why}`);
  return new RpcError(Status.INTERNAL, `the ${type} that came cannot be decoded: ${why}`, { cause: thrown });
}
