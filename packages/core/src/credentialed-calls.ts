import { detached } from "./ambient.ts";
import { withCredentials } from "./call-credentials.ts";
import type { CallCredentials, CredentialsCall } from "./call-credentials.ts";
import { kindOf } from "./check.ts";
import { HandlerSignal } from "./handler-signal.ts";
import type { Metadata, MetadataInit } from "./metadata.ts";
import { RpcError } from "./rpc-error.ts";
import { Status } from "./status.ts";
import { isPromiseLike } from "./stream.ts";
import { now } from "./timer-wheel.ts";

/** A call as whoever gets its credentials sees it. */
export interface CredentialedCall {
  readonly method: { readonly path: string };
  readonly deadlineMs: number;
  readonly ended: boolean;
  /** What its caller has given. */
  readonly given: { readonly metadata: Metadata | undefined };
  /** What is sent along. */
  metadata: Metadata | undefined;
  failHere(error: RpcError): void;
}

/** The calls of one end whose credentials are not there yet. */
export class CredentialedCalls<Call extends CredentialedCall> {
  readonly #addressOf: () => string;
  readonly #begin: (call: Call) => void;
  readonly #waiting = new Map<Call, HandlerSignal>();

  /** `begin` gets calls that have what they need. */
  constructor(addressOf: () => string, begin: (call: Call) => void) {
    this.#addressOf = addressOf;
    this.#begin = begin;
  }

  get size(): number {
    return this.#waiting.size;
  }

  has(call: Call): boolean {
    return this.#waiting.has(call);
  }

  /** Begins the call with its credentials, now or when they are there. */
  start(call: Call, credentials: CallCredentials): void {
    if (typeof credentials === "function") return this.#ask(call, credentials);
    // Once is enough for all attempts.
    if (call.metadata === call.given.metadata) call.metadata = withCredentials(call.given.metadata, credentials);
    this.#begin(call);
  }

  /** The call is over. False: it did not wait here. */
  forget(call: Call): boolean {
    const signal = this.#waiting.get(call);
    if (!signal) return false;
    this.#waiting.delete(call);
    signal.abort(new RpcError(Status.CANCELLED, "the call is over"));
    return true;
  }

  /** Ends them all. */
  failAll(errorOf: (call: Call) => RpcError): void {
    for (const call of [...this.#waiting.keys()]) call.failHere(errorOf(call));
  }

  #ask(call: Call, credentials: (call: CredentialsCall) => MetadataInit | Promise<MetadataInit>): void {
    const signal = new HandlerSignal();
    // Whoever is asked may end the call.
    this.#waiting.set(call, signal);
    try {
      // Tokens are kept for other calls, and must not depend on the call of the handler that needed them first.
      const given = detached(() => credentials(this.#asked(call, signal)));
      if (!isPromiseLike(given)) this.#settle(call, signal, given);
      else
        given.then(
          (settled) => this.#settle(call, signal, settled),
          (thrown: unknown) => this.#fail(call, signal, thrown),
        );
    } catch (thrown) {
      this.#fail(call, signal, thrown);
    }
  }

  #asked({ method: { path }, deadlineMs }: Call, handler: HandlerSignal): CredentialsCall {
    return {
      path,
      address: this.#addressOf(),
      deadline: deadlineMs === Infinity ? undefined : Date.now() + (deadlineMs - now()),
      get signal() {
        return handler.signal;
      },
    };
  }

  #settle(call: Call, signal: HandlerSignal, credentials: MetadataInit): void {
    if (this.#waiting.get(call) !== signal) return;
    try {
      if (typeof credentials !== "object" || credentials === null)
        throw new TypeError(
          `metadata is wanted, not ${credentials === null ? kindOf(credentials) : typeof credentials}`,
        );
      call.metadata = withCredentials(call.given.metadata, credentials);
    } catch (thrown) {
      return this.#fail(call, signal, thrown);
    }
    this.#waiting.delete(call);
    this.#begin(call);
  }

  #fail(call: Call, signal: HandlerSignal, cause: unknown): void {
    if (this.#waiting.get(call) !== signal) return;
    const where = `${call.method.path} at ${this.#addressOf()}`;
    const text = `${where} was not sent: there are no credentials for it: ${RpcError.from(cause).message}`;
    call.failHere(new RpcError(Status.UNAUTHENTICATED, text, { cause }));
  }
}
