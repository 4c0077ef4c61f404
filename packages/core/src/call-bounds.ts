import { parentCall } from "./ambient.ts";
import type { ParentCall } from "./ambient.ts";
import { cancelled, deadlinePassed } from "./call-errors.ts";
import type { CallOptions } from "./call-options.ts";
import type { RpcError } from "./rpc-error.ts";
import { unwatchSignal, watchSignal } from "./signal-watch.ts";
import type { Cancellable } from "./signal-watch.ts";
import { Timed } from "./timer-wheel.ts";
import type { TimerWheel } from "./timer-wheel.ts";
import { inNextTurn } from "./turn.ts";

/** A call that interceptors are around, as its caller made it. */
export interface BoundCall {
  /** How it is named in its errors. */
  readonly where: string;
  readonly options: CallOptions | undefined;
  /** When it was made, and when it must be over if its caller said so, else Infinity; on the monotonic clock. */
  readonly startedMs: number;
  readonly deadlineMs: number;
}

/**
 * What ends a call whatever its interceptors are waiting for: the time that its caller gave, its signal, and the call
 * whose handler made it. The call within ends by the same first, so that interceptors can make something else of its
 * error; they have until the next turn of the event loop.
 */
export class CallBounds extends Timed implements Cancellable {
  readonly #call: BoundCall;
  readonly #wheel: TimerWheel;
  readonly #parent: ParentCall | undefined;
  readonly #deadlineMs: number;
  #onOver: ((error: RpcError) => void) | undefined;

  private constructor(call: BoundCall, wheel: TimerWheel, parent: ParentCall | undefined, deadlineMs: number) {
    super();
    this.#call = call;
    this.#wheel = wheel;
    this.#parent = parent;
    this.#deadlineMs = deadlineMs;
  }

  /** Those of a call; undefined if it has none. */
  static of(call: BoundCall, wheel: TimerWheel): CallBounds | undefined {
    const parent = call.options?.detached === true ? undefined : parentCall();
    if (!parent && !call.options?.signal && call.deadlineMs === Infinity) return undefined;
    return new CallBounds(call, wheel, parent, Math.min(call.deadlineMs, parent?.deadlineMs ?? Infinity));
  }

  /** Begins to watch; `onOver` is called once at most, and not after `release`. */
  arm(onOver: (error: RpcError) => void): void {
    this.#onOver = onOver;
    const signal = this.#call.options?.signal;
    const inherited = this.#parent?.signal;
    if (signal?.aborted) this.cancel(signal.reason);
    else if (inherited?.aborted) this.cancel(inherited.reason);
    else if (this.#deadlineMs <= this.#call.startedMs) this.onDeadline();
    else {
      if (signal) watchSignal(signal, this);
      if (inherited) watchSignal(inherited, this);
      this.#wheel.add(this, this.#deadlineMs);
    }
  }

  /** The call has ended. */
  release(): void {
    this.#onOver = undefined;
    this.#unwatch();
  }

  cancel(reason: unknown): void {
    this.#over(cancelled(this.#call.where, reason, this.#parent));
  }

  onDeadline(): void {
    const { where, options, startedMs } = this.#call;
    const timed = { startedMs, deadlineMs: this.#deadlineMs, options };
    this.#over(deadlinePassed(where, timed, this.#parent, "its interceptors had not come to an end"));
  }

  #over(error: RpcError): void {
    this.#unwatch();
    inNextTurn(() => this.#onOver?.(error));
  }

  #unwatch(): void {
    this.#wheel.remove(this);
    const signal = this.#call.options?.signal;
    if (signal) unwatchSignal(signal, this);
    if (this.#parent) unwatchSignal(this.#parent.signal, this);
  }
}
