import type { ClientCall } from "./caller.ts";
import type { ClientSession } from "./client-session.ts";
import { RpcError } from "./rpc-error.ts";
import { Status } from "./status.ts";
import { Timed, now } from "./timer-wheel.ts";
import type { TimerWheel } from "./timer-wheel.ts";

/** What those who wait need to know of their channel. */
export interface WaitingRoom {
  readonly wheel: TimerWheel;
  readonly address: string;
  readonly connected: boolean;
  readonly connectTimeoutMs: number;
  readonly maxQueuedCalls: number;
  /** Why calls wait, for error messages. */
  obstacle(): string;
}

/** The calls of a channel that wait for a session, in their order. */
export class WaitingCalls extends Timed {
  readonly #room: WaitingRoom;
  #calls: ClientCall[] = [];
  /** Those before it have been served. */
  #head = 0;
  #count = 0;

  constructor(room: WaitingRoom) {
    super();
    this.#room = room;
  }

  get count(): number {
    return this.#count;
  }

  /** A new call waits, unless too many do. */
  take(call: ClientCall): void {
    const { maxQueuedCalls, address } = this.#room;
    if (this.#count < maxQueuedCalls) return this.add(call);
    const text = `${call.method.path} at ${address} was not sent: as many calls wait as the channel allows (its option maxQueuedCalls, ${maxQueuedCalls}): ${this.#room.obstacle()}`;
    call.failHere(new RpcError(Status.RESOURCE_EXHAUSTED, text));
  }

  /** A call waits that was under way already. */
  add(call: ClientCall): void {
    call.queuedMs = now();
    this.#count += 1;
    this.#calls.push(call);
    if (!call.waitsForReady && this.tick === 0) this.#room.wheel.add(this, call.queuedMs + this.#room.connectTimeoutMs);
  }

  /** A call is over. False: it did not wait. */
  withdraw(call: ClientCall): boolean {
    if (call.queuedMs === undefined) return false;
    call.queuedMs = undefined;
    this.#count -= 1;
    // Calls that have ended while they waited must not pile up; most of the time there are few.
    if (this.#calls.length - this.#head > 2 * this.#count + 64) this.#keep(({ ended }) => !ended);
    return true;
  }

  /** Gives calls to sessions as long as there are any with room. */
  serve(pick: () => ClientSession | undefined): void {
    while (this.#head < this.#calls.length) {
      const call = this.#calls[this.#head]!;
      if (call.ended) this.#shift();
      else {
        const session = pick();
        if (!session) return;
        this.#shift();
        call.queuedMs = undefined;
        this.#count -= 1;
        session.begin(call);
      }
    }
    this.#room.wheel.remove(this);
  }

  /** Ends all that there is an error for. */
  failAll(errorOf: (call: ClientCall) => RpcError | undefined): void {
    const errors = new Map(this.#calls.slice(this.#head).map((call) => [call, errorOf(call)]));
    this.#keep((call) => errors.get(call) === undefined);
    for (const [call, error] of errors) if (error) call.failHere(error);
    if (this.#calls.length === 0) this.#room.wheel.remove(this);
  }

  /** Whoever waits for credit waits on; only a missing connection is given up. */
  onDeadline(): void {
    const { connected, connectTimeoutMs, wheel } = this.#room;
    const before = now() - connectTimeoutMs;
    const isLate = ({ waitsForReady, queuedMs = 0 }: ClientCall): boolean => !waitsForReady && queuedMs <= before;
    this.#keep(({ ended }) => !ended);
    const late = connected ? [] : this.#calls.filter(isLate);
    if (late.length > 0) this.#keep((call) => !isLate(call));
    const why = `found no connection within ${Math.round(connectTimeoutMs)} ms (the channel's connectTimeoutMs): ${this.#room.obstacle()}`;
    for (const call of late) call.unavailable(why);
    const next = this.#calls.find(({ waitsForReady }) => !waitsForReady);
    // Those that wait for credit have no time of their own; it is looked at again after a while.
    if (next && this.tick === 0) wheel.add(this, Math.max((next.queuedMs ?? 0) + connectTimeoutMs, now() + 100));
  }

  /** Taking the first out of a long array would move all others, each time. */
  #shift(): void {
    this.#head += 1;
    // What has been served must not be kept in memory for long.
    const isLong = this.#head >= 256 && this.#head * 2 >= this.#calls.length;
    if (isLong || this.#head === this.#calls.length) this.#keep(() => true);
  }

  #keep(isKept: (call: ClientCall) => boolean): void {
    this.#calls = this.#calls.slice(this.#head).filter(isKept);
    this.#head = 0;
  }
}
