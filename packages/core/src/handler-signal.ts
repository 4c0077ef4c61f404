import { RpcError } from "./rpc-error.ts";
import { Status } from "./status.ts";

/** The signal of a handler: its AbortController is only made when somebody asks for it. */
export class HandlerSignal {
  #controller: AbortController | undefined;
  #reason: RpcError | undefined;

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#reason) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** Aborts it, now or as soon as it is asked for. */
  abort(reason: RpcError): void {
    this.#reason ??= reason;
    this.#controller?.abort(reason);
  }
}

/** The reason that a CANCEL gives, for the handler. */
export function whyCancelled(code: number): RpcError {
  if (code === Status.DEADLINE_EXCEEDED) return new RpcError(code, "the caller's deadline has passed");
  return new RpcError(Status.CANCELLED, "the caller has cancelled the call");
}
