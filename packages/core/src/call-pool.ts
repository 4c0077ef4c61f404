import { detached } from "./ambient.ts";
import { sessionPicker } from "./balance.ts";
import type { ChannelOptions } from "./channel-options.ts";
import type { BindingLike } from "./binding.ts";
import { channelClosed } from "./call-errors.ts";
import { checkCallOptions, deadlineOf } from "./call-options.ts";
import type { CallCredentials } from "./call-credentials.ts";
import type { CallOptions } from "./call-options.ts";
import { CallingEnd } from "./calling-end.ts";
import { ClientCall } from "./caller.ts";
import type { CallOwner, GivenCall, Settle } from "./call-owner.ts";
import type { CallStarter } from "./client.ts";
import type { ClientMethod } from "./client-method.ts";
import { CredentialedCalls } from "./credentialed-calls.ts";
import type { ClientSession } from "./client-session.ts";
import type { Contract } from "./contract.ts";
import { EndCounters, bindingFor, guarded, sessionTimes } from "./end.ts";
import type { BindingChoice } from "./end.ts";
import type { IncomingOwner, LooseCall } from "./incoming-calls.ts";
import type { OperationTable } from "./operation.ts";
import { Metadata } from "./metadata.ts";
import { toLimits } from "./limits.ts";
import type { Limits } from "./limits.ts";
import { Retries } from "./retry.ts";
import { RpcError } from "./rpc-error.ts";
import { Status } from "./status.ts";
import type { StatusCode } from "./status.ts";
import { TimerWheel, now } from "./timer-wheel.ts";
import { inNextTurn } from "./turn.ts";
import { WaitingCalls } from "./waiting-calls.ts";
import type { WaitingRoom } from "./waiting-calls.ts";

/**
 * All calls of one channel: those that wait for a session, and the addresses whose sessions have the others. It is the
 * owner that calls know.
 */
export class CallPool implements CallOwner, CallStarter, WaitingRoom {
  readonly wheel: TimerWheel = new TimerWheel(true);
  readonly limits: Limits;
  readonly counters: EndCounters = new EndCounters();
  readonly connectTimeoutMs: number;
  readonly maxQueuedCalls: number;
  readonly #options: ChannelOptions;
  readonly #onFirstCall: () => void;
  readonly #watch = new TimerWheel(false);
  readonly #ends: readonly CallingEnd[];
  /** The session for the next call: one that is there and has room, if there is any. */
  readonly pick: () => ClientSession | undefined;
  /** Called when some session may have room again; calls that wait have had their turn. */
  onRoom: (() => void) | undefined;
  readonly #waiting: WaitingCalls;
  readonly #retries: Retries<ClientCall>;
  readonly #credentials: CallCredentials | undefined;
  readonly #credentialed: CredentialedCalls<ClientCall>;
  #state: "unused" | "used" | "closing" = "unused";
  #cut = false;
  /** One-way callbacks whose session is over. */
  readonly #loose = new Set<LooseCall>();
  #changed: (() => void) | undefined;

  /** `onFirstCall` is to attach the pool. Throws TypeError for addresses and options that cannot be. */
  constructor(
    addresses: readonly string[],
    options: ChannelOptions & { readonly binding: BindingLike | BindingChoice },
    onFirstCall: () => void,
    table: OperationTable,
  ) {
    const { attach = "connect", connectTimeoutMs = 10_000, maxQueuedCalls = 10_000 } = options;
    this.#options = options;
    this.#onFirstCall = onFirstCall;
    this.limits = toLimits(options.limits);
    this.connectTimeoutMs = connectTimeoutMs;
    this.maxQueuedCalls = maxQueuedCalls;
    const settings = {
      limits: this.limits,
      ...sessionTimes(options),
      watchWheel: this.#watch,
      count: this.counters.count,
      onDefect: (error: unknown) => guarded(options.onTrouble)(`an internal error: ${String(error)}`),
    };
    const { wheel } = this;
    const callbacks: IncomingOwner = {
      table,
      wheel,
      draining: false,
      maxStreamsPerSession: Infinity,
      count: this.counters.count,
      callOver: (call) => {
        if (this.#loose.delete(call)) this.#changed?.();
      },
      outlives: (call) => void this.#loose.add(call),
    };
    this.#ends = addresses.map((address) => {
      const { stack } = bindingFor(address, options.binding, attach);
      return new CallingEnd(
        address,
        stack,
        settings,
        {
          roomy: () => this.#roomy(),
          hopeless: () => {
            const code = this.#hopeless;
            if (code !== undefined) this.giveUp(this.obstacle(), code);
          },
          changed: () => this.#changed?.(),
          onTrouble: guarded(options.onTrouble),
        },
        callbacks,
      );
    });
    this.pick = sessionPicker(options.balance ?? "round-robin", this.#ends);
    this.#waiting = new WaitingCalls(this);
    const { callCredentials: own } = options;
    this.#credentials = own === undefined || typeof own === "function" ? own : new Metadata(own);
    this.#credentialed = new CredentialedCalls(
      () => this.address,
      (call) => this.#send(call),
    );
    this.#retries = new Retries(this.wheel, options.retry, options.retryBudget, (call) => this.#dispatch(call));
  }

  /** Error with the methods of a contract that the binding of an address cannot carry. */
  check(contract: Contract): void {
    for (const end of this.#ends) end.check(contract);
  }

  /** The address, or all of them; the real one if a wildcard was bound. */
  get address(): string {
    return this.#ends.map(({ realAddress }) => realAddress).join(", ");
  }

  get connected(): boolean {
    return this.#ends.some(({ connected }) => connected);
  }

  /** Sessions that take calls. */
  get sessions(): number {
    return this.#ends.reduce((sum, end) => sum + end.sessions, 0);
  }

  deadlineOf(method: ClientMethod, options: CallOptions | undefined, startedMs: number): number {
    if (options !== undefined) checkCallOptions(options, method);
    return deadlineOf(options, method.timeoutMs ?? this.#options.timeoutMs ?? 30_000, startedMs);
  }

  start(method: ClientMethod, given: GivenCall, settle?: Settle): ClientCall {
    const call = new ClientCall(this, method, given, settle);
    if (call.arm()) this.#dispatch(call);
    return call;
  }

  restart(call: ClientCall): boolean {
    if (this.#state !== "used") return false;
    this.#waiting.add(call);
    // Not in the middle of what the lost session has to do.
    inNextTurn(() => this.#waiting.serve(this.pick));
    return true;
  }

  retry(call: ClientCall, error: RpcError): boolean {
    return this.#state === "used" && this.#retries.schedule(call, error);
  }

  succeeded(): void {
    this.#retries.succeeded();
  }

  withdrawn(call: ClientCall): void {
    if (this.#waiting.withdraw(call) || this.#credentialed.forget(call)) this.#changed?.();
    else this.#retries.forget(call);
  }

  missing(call: ClientCall): string {
    if (this.#credentialed.has(call)) return "its credentials were not there yet (the option callCredentials)";
    if (call.queuedMs === undefined) return "its next attempt had not begun yet";
    return `${this.connected ? "it was still waiting for its turn" : "there was still no connection"}: ${this.obstacle()}`;
  }

  obstacle(): string {
    if (this.#ends.some(({ isFull }) => isFull))
      return "as much waits to be sent as the channel allows (its limit maxHeldBytes), since the server reads slowly";
    if (this.connected)
      return "the server has as many calls of this channel open as it allows (its limit maxConcurrentCalls)";
    const problems = this.#ends.map(({ problem, address }) => problem ?? `${address}: no server has answered yet`);
    const hasAnswered = this.#ends.some(({ wasRefused }) => wasRefused);
    return hasAnswered ? problems.join("; ") : `${problems.join("; ")}. Is the server running there?`;
  }

  /** Begins to look for servers at all addresses; rejects if one of them can never be used. */
  async attach(): Promise<void> {
    const { attach = "connect" } = this.#options;
    if (this.#state === "unused") this.#state = "used";
    try {
      await Promise.all(this.#ends.map((end) => end.attach(attach)));
    } catch (error) {
      this.giveUp(String(error));
      await Promise.all(this.#ends.map((end) => end.close(0)));
      throw error;
    }
  }

  /** Ends the calls that wait, unless there is a connection: none can come. */
  giveUp(reason: string, code: StatusCode = Status.UNAVAILABLE): void {
    if (this.connected) return;
    // What is known of an address begins with it.
    const why = reason.startsWith(`${this.address}: `) ? reason : `${this.address}: ${reason}`;
    this.#waiting.failAll(({ method, waitsForReady }) =>
      // Whoever waits for the server to be ready waits for the key to be allowed, too.
      waitsForReady && code === Status.UNAUTHENTICATED ? undefined : new RpcError(code, `${method.path} at ${why}`),
    );
  }

  /** Takes no more calls. */
  refuse(): void {
    this.#state = "closing";
    this.#retries.giveUp("the channel is closing");
  }

  /** Ends all calls, after they had time to end by themselves if `graceful`, and frees everything. */
  async close(graceful: boolean): Promise<void> {
    const { drainTimeoutMs = 5_000 } = this.#options;
    if (graceful) await this.#drained(now() + drainTimeoutMs);
    const errorOf = ({ method }: ClientCall): RpcError =>
      channelClosed(`${method.path} at ${this.address}`, graceful && !this.#cut);
    this.#waiting.failAll(errorOf);
    this.#credentialed.failAll(errorOf);
    for (const end of this.#ends) end.cancelAll(errorOf);
    for (const call of [...this.#loose])
      call.failHere(new RpcError(Status.CANCELLED, `${call.path}: the channel that answers it was closed`));
    await Promise.all(this.#ends.map((end) => end.close(graceful ? 250 : 0)));
    this.wheel.clear();
    this.#watch.clear();
  }

  /** Ends the time that `close` gives to calls. */
  cutShort(): void {
    this.#cut = true;
    this.#changed?.();
  }

  #roomy(): void {
    if (this.#waiting.count > 0) this.#waiting.serve(this.pick);
    this.#changed?.();
    this.onRoom?.();
  }

  #dispatch(call: ClientCall): void {
    // The connection belongs to no call, even if a handler was the first to use it.
    if (this.#state === "unused") detached(this.#onFirstCall);
    if (this.#state === "closing") {
      call.unavailable("was not sent: its channel is closed; make a new one to go on");
      return;
    }
    const credentials = call.options?.callCredentials ?? this.#credentials;
    if (credentials === undefined) this.#send(call);
    else this.#credentialed.start(call, credentials);
  }

  #send(call: ClientCall): void {
    const session = this.#waiting.count === 0 ? this.pick() : undefined;
    if (session) return session.begin(call);
    const code = this.#hopeless;
    if (code === undefined || call.waitsForReady) return this.#waiting.take(call);
    const error = new RpcError(code, `${call.method.path} at ${this.address} was not sent: ${this.obstacle()}`);
    // Not at once: whoever tries again and again would keep everything else from running.
    inNextTurn(() => {
      if (!call.ended) call.failHere(error);
    });
  }

  /** The status of calls that cannot be sent since connecting is hopeless everywhere; undefined while it is not. */
  get #hopeless(): StatusCode | undefined {
    let code: StatusCode | undefined;
    for (const { hopeless } of this.#ends) {
      if (hopeless === undefined) return undefined;
      code = code === undefined || code === hopeless ? hopeless : Status.UNAVAILABLE;
    }
    return code;
  }

  async #drained(deadlineMs: number): Promise<void> {
    while (
      !this.#cut &&
      (this.#waiting.count + this.#credentialed.size + this.#loose.size > 0 ||
        this.#ends.some(({ openCalls }) => openCalls > 0))
    ) {
      const leftMs = deadlineMs - now();
      if (leftMs <= 0) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(leftMs, 0x7fffffff));
        this.#changed = () => {
          clearTimeout(timer);
          inNextTurn(resolve);
        };
      });
      this.#changed = undefined;
    }
  }
}
