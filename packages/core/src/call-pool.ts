import { detached } from "./ambient.ts";
import type { BindingLike } from "./binding.ts";
import { checkTimeout, deadlineOf } from "./call-options.ts";
import type { CallOptions } from "./call-options.ts";
import { CallingEnd } from "./calling-end.ts";
import { ClientCall } from "./caller.ts";
import type { CallOwner } from "./caller.ts";
import type { CallStarter } from "./client.ts";
import type { ClientMethod } from "./client-method.ts";
import type { ClientSession } from "./client-session.ts";
import { EndCounters, checkAddress, guarded, sessionTimes } from "./end.ts";
import type { BindingChoice, EndOptions } from "./end.ts";
import { toLimits } from "./limits.ts";
import type { Limits } from "./limits.ts";
import { RpcError } from "./rpc-error.ts";
import { Status } from "./status.ts";
import { Timed, TimerWheel, now } from "./timer-wheel.ts";
import { inNextTurn } from "./turn.ts";

/** How calls are made; see `ChannelOptions`, which it is a part of. */
export interface CallPoolOptions extends EndOptions {
  /** Which side of the connection it is: a client may as well bind, and servers then attach to it. Default `connect`. */
  readonly attach?: "bind" | "connect";
  /** How long calls wait that name no time, and whose method names none. Default 30,000; Infinity for no limit. */
  readonly timeoutMs?: number;
  /** How long a call without `waitForReady` waits for a connection before it ends UNAVAILABLE. Default 10,000. */
  readonly connectTimeoutMs?: number;
  /** Calls that may wait for a connection or for the server's credit; more end RESOURCE_EXHAUSTED. Default 10,000. */
  readonly maxQueuedCalls?: number;
}

/** Ends the calls that have waited long enough for a connection. */
class ConnectTimer extends Timed {
  readonly #expire: () => void;

  constructor(expire: () => void) {
    super();
    this.#expire = expire;
  }

  onDeadline(): void {
    this.#expire();
  }
}

/**
 * All calls of one channel: those that wait for a session, and the addresses whose sessions have the others. It is the
 * owner that calls know.
 */
export class CallPool implements CallOwner, CallStarter {
  readonly wheel: TimerWheel = new TimerWheel(true);
  readonly limits: Limits;
  readonly counters: EndCounters = new EndCounters();
  readonly #options: CallPoolOptions;
  readonly #onFirstCall: () => void;
  readonly #watch = new TimerWheel(false);
  readonly #ends: readonly CallingEnd[];
  readonly #connectTimeoutMs: number;
  readonly #maxQueuedCalls: number;
  readonly #connectTimer = new ConnectTimer(() => this.#expireWaiting());
  #state: "unused" | "used" | "closing" = "unused";
  #waiting: ClientCall[] = [];
  #waitingCount = 0;
  #turn = 0;
  #cut = false;
  #changed: (() => void) | undefined;

  /** `onFirstCall` is to attach the pool. Throws TypeError for addresses and options that cannot be. */
  constructor(
    addresses: readonly string[],
    options: CallPoolOptions & { readonly binding: BindingLike | BindingChoice },
    onFirstCall: () => void,
  ) {
    const { attach = "connect", connectTimeoutMs = 10_000, maxQueuedCalls = 10_000, timeoutMs = 30_000 } = options;
    checkTimeout("connectTimeoutMs", connectTimeoutMs);
    checkTimeout("timeoutMs", timeoutMs);
    this.#options = options;
    this.#onFirstCall = onFirstCall;
    this.limits = toLimits(options.limits);
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#maxQueuedCalls = maxQueuedCalls;
    const settings = {
      limits: this.limits,
      ...sessionTimes(options),
      watchWheel: this.#watch,
      count: this.counters.count,
      onDefect: (error: unknown) => guarded(options.onTrouble)(`an internal error: ${String(error)}`),
    };
    this.#ends = addresses.map((address) => {
      const { stack } = typeof options.binding === "function" ? options.binding(address) : options.binding;
      checkAddress({ stack }, address, attach);
      return new CallingEnd(address, stack, settings, {
        roomy: () => this.#roomy(),
        hopeless: (reason) => this.#giveUpWaiting(reason),
        changed: () => this.#changed?.(),
        onTrouble: guarded(options.onTrouble),
      });
    });
  }

  /** The address, or all of them; the real one if a wildcard was bound. */
  get address(): string {
    return this.#ends.map(({ realAddress }) => realAddress).join(", ");
  }

  get connected(): boolean {
    return this.#ends.some(({ connected }) => connected);
  }

  deadlineOf(method: ClientMethod, options: CallOptions | undefined): number {
    return deadlineOf(options, method.timeoutMs ?? this.#options.timeoutMs ?? 30_000);
  }

  start(method: ClientMethod, ...[given, settle]: TailOf<CallStarter["start"]>): ClientCall {
    const call = new ClientCall(this, method, given, settle);
    if (call.arm()) this.#dispatch(call);
    return call;
  }

  restart(call: ClientCall): boolean {
    if (this.#state !== "used") return false;
    this.#enqueue(call);
    // Not in the middle of what the lost session has to do.
    inNextTurn(() => this.#serveWaiting());
    return true;
  }

  withdrawn(call: ClientCall): void {
    if (call.queuedMs === undefined) return;
    call.queuedMs = undefined;
    this.#waitingCount -= 1;
    // Calls that have ended while they waited must not pile up; most of the time there are few.
    if (this.#waiting.length > 2 * this.#waitingCount + 64) this.#waiting = this.#waiting.filter(({ ended }) => !ended);
    this.#changed?.();
  }

  whyNotConnected(): string {
    if (this.#state === "closing") return "the channel is closed";
    if (this.connected) return "the server's credit for calls was used up (its limit maxConcurrentCalls)";
    const problems = this.#ends.map(({ problem, address }) => problem ?? `${address}: no server has answered yet`);
    return `${problems.join("; ")}. Is the server running there?`;
  }

  /** Begins to look for servers at all addresses; rejects if one of them can never be used. */
  async attach(): Promise<void> {
    const { attach = "connect" } = this.#options;
    if (this.#state === "unused") this.#state = "used";
    try {
      await Promise.all(this.#ends.map((end) => end.attach(attach)));
    } catch (error) {
      this.#giveUpWaiting(String(error));
      await Promise.all(this.#ends.map((end) => end.close(0)));
      throw error;
    }
  }

  /** Takes no more calls. */
  refuse(): void {
    this.#state = "closing";
  }

  /** Ends all calls, after they had time to end by themselves if `graceful`, and frees everything. */
  async close(graceful: boolean): Promise<void> {
    const { drainTimeoutMs = 5_000 } = this.#options;
    if (graceful) await this.#drained(now() + drainTimeoutMs);
    const error = new RpcError(Status.CANCELLED, `the channel to ${this.address} was closed before the call had ended`);
    for (const call of this.#waiting.splice(0)) call.failHere(error);
    for (const end of this.#ends) end.cancelAll(error);
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
    if (this.#waitingCount > 0) this.#serveWaiting();
    this.#changed?.();
  }

  #dispatch(call: ClientCall): void {
    // The connection belongs to no call, even if a handler was the first to use it.
    if (this.#state === "unused") detached(this.#onFirstCall);
    if (this.#state === "closing") {
      call.unavailable();
      return;
    }
    const session = this.#waitingCount === 0 ? this.#pick() : undefined;
    if (session) session.begin(call);
    else this.#wait(call);
  }

  #pick(): ClientSession | undefined {
    const ends = this.#ends;
    if (ends.length === 1) return ends[0]!.pick();
    for (let tried = 0; tried < ends.length; tried++) {
      this.#turn = (this.#turn + 1) % ends.length;
      const session = ends[this.#turn]!.pick();
      if (session) return session;
    }
    return undefined;
  }

  #wait(call: ClientCall): void {
    if (this.#waitingCount >= this.#maxQueuedCalls) {
      const text = `${this.#waitingCount} calls already wait for ${this.address}, as many as the channel allows (its option maxQueuedCalls): ${this.whyNotConnected()}`;
      call.failHere(new RpcError(Status.RESOURCE_EXHAUSTED, text));
      return;
    }
    this.#enqueue(call);
  }

  #enqueue(call: ClientCall): void {
    call.queuedMs = now();
    this.#waitingCount += 1;
    this.#waiting.push(call);
    if (!call.waitsForReady && this.#connectTimer.tick === 0)
      this.wheel.add(this.#connectTimer, call.queuedMs + this.#connectTimeoutMs);
  }

  #serveWaiting(): void {
    while (this.#waiting.length > 0) {
      const call = this.#waiting[0]!;
      if (!call.ended) {
        const session = this.#pick();
        if (!session) return;
        this.#waiting.shift();
        call.queuedMs = undefined;
        this.#waitingCount -= 1;
        session.begin(call);
      } else this.#waiting.shift();
    }
    this.wheel.remove(this.#connectTimer);
  }

  /** Whoever waits for credit waits on; only a missing connection is given up. */
  #expireWaiting(): void {
    const before = now() - this.#connectTimeoutMs;
    const isLate = ({ waitsForReady, queuedMs = 0 }: ClientCall): boolean => !waitsForReady && queuedMs <= before;
    const late = this.connected ? [] : this.#waiting.filter((call) => !call.ended && isLate(call));
    this.#waiting = this.#waiting.filter((call) => !call.ended && (this.connected || !isLate(call)));
    for (const call of late) call.unavailable();
    const next = this.#waiting.find(({ waitsForReady }) => !waitsForReady);
    // Those that wait for credit have no time of their own; it is looked at again after a while.
    if (next) this.wheel.add(this.#connectTimer, Math.max((next.queuedMs ?? 0) + this.#connectTimeoutMs, now() + 100));
  }

  #giveUpWaiting(reason: string): void {
    for (const call of this.#waiting.splice(0))
      call.failHere(new RpcError(Status.UNAVAILABLE, `${call.method.path} at ${this.address}: ${reason}`));
  }

  async #drained(deadlineMs: number): Promise<void> {
    while (!this.#cut && (this.#waitingCount > 0 || this.#ends.some(({ openCalls }) => openCalls > 0))) {
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

type TailOf<F> = F extends (first: never, ...rest: infer Rest) => unknown ? Rest : never;
