import { checkCallOptions, deadlineOf } from "./call-options.ts";
import type { CallOptions } from "./call-options.ts";
import { ClientCall } from "./caller.ts";
import type { CallOwner, GivenCall, Settle } from "./call-owner.ts";
import { createClient } from "./client.ts";
import type { CallStarter } from "./client.ts";
import type { ClientMethod } from "./client-method.ts";
import type { Contract } from "./contract.ts";
import { CredentialedCalls } from "./credentialed-calls.ts";
import type { Limits } from "./limits.ts";
import { OutgoingCalls } from "./outgoing-calls.ts";
import { RpcError } from "./rpc-error.ts";
import type { Session } from "./session.ts";
import { Status } from "./status.ts";
import type { TimerWheel } from "./timer-wheel.ts";

/** How long a callback waits that names no time, and whose method names none. */
const defaultTimeoutMs = 30_000;

/**
 * The calls that a serving end makes back over one session. They never wait for a connection: the session is the only
 * way to their callee, and what its credit does not allow ends RESOURCE_EXHAUSTED.
 */
export class CallbackCalls implements CallOwner, CallStarter {
  readonly wheel: TimerWheel;
  readonly limits: Limits;
  readonly calls: OutgoingCalls;
  readonly #session: Session;
  readonly #onCall: () => void;
  readonly #credentialed: CredentialedCalls<ClientCall> = new CredentialedCalls(
    () => this.address,
    (call) => this.#send(call),
  );
  #lost: string | undefined;

  /** `onCall` is told of each call that begins. */
  constructor(
    session: Session,
    owner: { readonly wheel: TimerWheel; readonly count: (what: string) => void },
    onCall: () => void,
  ) {
    this.#session = session;
    this.#onCall = onCall;
    this.wheel = owner.wheel;
    this.limits = session.limits;
    this.calls = new OutgoingCalls(session, "even", owner.count, () => undefined);
  }

  get size(): number {
    return this.calls.size;
  }

  get address(): string {
    return this.#session.link.remoteAddress;
  }

  client(contract: Contract): unknown {
    return createClient(this, contract, []);
  }

  deadlineOf(method: ClientMethod, options: CallOptions | undefined, startedMs: number): number {
    if (options !== undefined) checkCallOptions(options, method);
    return deadlineOf(options, method.timeoutMs ?? defaultTimeoutMs, startedMs);
  }

  start(method: ClientMethod, given: GivenCall, settle?: Settle): ClientCall {
    const call = new ClientCall(this, method, given, settle);
    if (!call.arm()) return call;
    const credentials = given.options?.callCredentials;
    if (credentials === undefined) this.#send(call);
    else this.#credentialed.start(call, credentials);
    return call;
  }

  #send(call: ClientCall): void {
    const { path } = call.method;
    if (this.#lost !== undefined) call.unavailable(`was not sent: the caller is gone (${this.#lost})`);
    else if (!this.calls.hasRoom) {
      const { maxConcurrentCalls } = this.calls.peerLimits;
      const text = `${path}: ${maxConcurrentCalls} calls to ${this.address} are open already, as many as it allows (its limit maxConcurrentCalls)`;
      call.failHere(new RpcError(Status.RESOURCE_EXHAUSTED, text));
    } else {
      this.calls.begin(call);
      this.#onCall();
    }
  }

  restart(): boolean {
    return false;
  }

  withdrawn(call: ClientCall): void {
    this.#credentialed.forget(call);
  }

  /** Calls back are never tried again: their callee is where it is, or gone. */
  retry(): boolean {
    return false;
  }

  succeeded(): void {
    // There is no budget to give back to.
  }

  missing(call: ClientCall): string {
    if (this.#credentialed.has(call)) return "its credentials were not there yet (the option callCredentials)";
    return `the caller was gone (${this.#lost ?? "its session is over"})`;
  }

  /** The session is gone. */
  lost(reason: string): void {
    this.#lost = reason;
    this.calls.lose(this.calls.takeAll(), reason);
    this.#credentialed.failAll(
      ({ method }) => new RpcError(Status.UNAVAILABLE, `${method.path} was not sent: the caller is gone (${reason})`),
    );
  }
}
