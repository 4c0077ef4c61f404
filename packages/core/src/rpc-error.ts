import type { MessageInit, MessageType } from "./contract.ts";
import type { Metadata } from "./metadata.ts";
import { Status, statusName, toStatusCode } from "./status.ts";
import type { StatusCode, StatusName } from "./status.ts";

/** A typed message that says more about an error, as it travels: a `google.protobuf.Any`. */
export interface ErrorDetail {
  /** `type.googleapis.com/` and the full name of the message. */
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/** What an `RpcError` may carry beside its code and message. */
export interface RpcErrorOptions {
  readonly details?: readonly ErrorDetail[];
  /** Header block of the reply, if it had come. */
  readonly header?: Metadata | undefined;
  /** Trailer block; a handler that throws sets the trailer of its reply with it. */
  readonly trailer?: Metadata | undefined;
  /** Stays in this process; never sent. */
  readonly cause?: unknown;
}

/** Packs a message as the detail of an error: `errorDetail(BadRequest, { fieldViolations: [...] })`. */
export function errorDetail<T>(type: MessageType<T>, init: MessageInit<T>): ErrorDetail {
  return { typeUrl: `type.googleapis.com/${type.$type}`, value: type.encode(type.fromPartial(init)).finish() };
}

/**
 * How every call that does not succeed ends, and what a handler throws to answer with a status of its choice.
 * Anything else that a handler throws reaches its caller as UNKNOWN with an id that the server's log explains.
 *
 * `message` is the text without the code; `String(error)` shows both. `details`, `header` and `trailer` are owned by
 * the error and must not be changed.
 */
export class RpcError extends Error {
  override readonly name: string = "RpcError";
  readonly code: StatusCode;
  readonly details: readonly ErrorDetail[];
  readonly header: Metadata | undefined;
  readonly trailer: Metadata | undefined;

  constructor(code: StatusCode, message: string, options: RpcErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    if (code === Status.OK) throw new TypeError("an RpcError needs a code other than OK");
    this.code = toStatusCode(code);
    this.details = options.details ?? [];
    this.header = options.header;
    this.trailer = options.trailer;
  }

  /** The code by name, for example `NOT_FOUND`. */
  get codeName(): StatusName {
    return statusName(this.code);
  }

  /**
   * The first detail of the given type, decoded, or undefined if there is none.
   * Throws INTERNAL if the peer sent bytes that are no message of that type.
   */
  detail<T>(type: MessageType<T>): T | undefined {
    const found = this.details.find(({ typeUrl }) => typeUrl.slice(typeUrl.lastIndexOf("/") + 1) === type.$type);
    if (!found) return undefined;
    try {
      return type.decode(found.value);
    } catch (cause) {
      throw new RpcError(Status.INTERNAL, `the error detail ${type.$type} cannot be decoded`, { cause });
    }
  }

  /** `RpcError [NOT_FOUND]: no such book`. */
  override toString(): string {
    return `${this.name} [${this.codeName}]: ${this.message}`;
  }

  /**
   * Any thrown value as an RpcError: itself if it is one, CANCELLED for an AbortError, DEADLINE_EXCEEDED for a
   * TimeoutError, else UNKNOWN with the value as `cause`.
   */
  static from(thrown: unknown): RpcError {
    if (isRpcError(thrown)) return thrown;
    const { name, message } = describe(thrown);
    if (name === "AbortError") return new RpcError(Status.CANCELLED, message, { cause: thrown });
    if (name === "TimeoutError") return new RpcError(Status.DEADLINE_EXCEEDED, message, { cause: thrown });
    return new RpcError(Status.UNKNOWN, message, { cause: thrown });
  }
}

/** Errors of other realms fail `instanceof Error`, so their parts are read by name. */
function describe(thrown: unknown): { name: string; message: string } {
  try {
    if (typeof thrown === "object" && thrown !== null) {
      const { name, message } = thrown as { name?: unknown; message?: unknown };
      return { name: typeof name === "string" ? name : "", message: typeof message === "string" ? message : "" };
    }
    return { name: "", message: String(thrown) };
  } catch {
    return { name: "", message: "a value was thrown that cannot be described" };
  }
}

/** Whether a thrown value is an RpcError; what throws when it is looked at is none. */
export function isRpcError(thrown: unknown): thrown is RpcError {
  try {
    return thrown instanceof RpcError;
  } catch {
    return false;
  }
}

/**
 * A typed fault: the status with a message as its detail, for a handler to throw.
 * `throw fault(Status.NOT_FOUND, BookMissing, { isbn }, "no such book")`; callers find it by `error.detail(BookMissing)`.
 * Name its type in the proto (`option (zerobind.v1.operation) = { faults: [...] }`), so that callers know of it.
 */
export function fault<T>(
  code: StatusCode,
  type: MessageType<T>,
  init: MessageInit<T>,
  message: string = type.$type,
): RpcError {
  return new RpcError(code, message, { details: [errorDetail(type, init)] });
}
