import { isCount, isCountFrom } from "./check.ts";
import type { Checks } from "./check.ts";
import { RpcError } from "./rpc-error.ts";
import { Status } from "./status.ts";

/** A call as the line sees it that it waits in. */
export interface WaitingCall {
  /** Calls of the same key wait in one line. */
  readonly sessionKey: unknown;
  /** Whether so many replies wait for the caller that it should not get another one yet. */
  readonly isHeldBack: boolean;
}

/** How many calls of a service or method run at once, and how many more wait for that. */
export interface ThrottleOptions {
  /** Calls that run at once. Default: no limit of its own. */
  readonly maxConcurrentCalls?: number | undefined;
  /** Calls that wait, within their deadlines, for others to end; more are answered RESOURCE_EXHAUSTED. Default 1,000. */
  readonly maxQueuedCalls?: number | undefined;
}

export const throttleChecks: Checks = { maxConcurrentCalls: isCountFrom(1), maxQueuedCalls: isCount };

/** One limit on calls that run at once, shared by all operations that it applies to. */
export class Throttle {
  running = 0;
  /** Those that run and those that wait. */
  admitted = 0;
  readonly #name: string;
  readonly #maxRunning: number;
  readonly #maxWaiting: number;

  /** `name` is what is limited, for the text of refusals. */
  constructor(name: string, { maxConcurrentCalls = Infinity, maxQueuedCalls = 1_000 }: ThrottleOptions) {
    this.#name = name;
    this.#maxRunning = maxConcurrentCalls;
    this.#maxWaiting = maxQueuedCalls;
  }

  get hasRoom(): boolean {
    return this.running < this.#maxRunning;
  }

  get isFull(): boolean {
    return this.admitted >= this.#maxRunning + this.#maxWaiting;
  }

  refusal(): RpcError {
    const [waiting, knob] =
      this.#maxWaiting === 0
        ? ["", "option maxConcurrentCalls"]
        : [`, and ${this.#maxWaiting} more wait`, "options maxConcurrentCalls and maxQueuedCalls"];
    return new RpcError(
      Status.RESOURCE_EXHAUSTED,
      `${this.#name} runs ${counted(this.#maxRunning, "call")} at once${waiting}, as many as it allows (its ${knob}); try again later`,
    );
  }
}

/** `1 call`, `2 calls`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** Calls that have the same limits, waiting in turns: each session has a line of its own. */
export class Lane<Call extends WaitingCall> {
  readonly throttles: readonly Throttle[];
  /** By session; the first one is the next to be served. */
  readonly #lines = new Map<unknown, Set<Call>>();

  constructor(throttles: readonly Throttle[]) {
    this.throttles = throttles;
  }

  get isEmpty(): boolean {
    return this.#lines.size === 0;
  }

  get hasRoom(): boolean {
    for (const throttle of this.throttles) if (!throttle.hasRoom) return false;
    return true;
  }

  push(call: Call): void {
    const line = this.#lines.get(call.sessionKey);
    if (line) line.add(call);
    else this.#lines.set(call.sessionKey, new Set([call]));
  }

  /** The next call of the session whose turn it is and whose peer reads what it gets; that session is the last one then. */
  shift(mayRun: (call: Call) => boolean = () => true): Call | undefined {
    for (const [key, line] of this.#lines) {
      for (const call of line) {
        if (call.isHeldBack || !mayRun(call)) break;
        this.#lines.delete(key);
        line.delete(call);
        if (line.size > 0) this.#lines.set(key, line);
        return call;
      }
    }
    return undefined;
  }

  /** All that wait. */
  all(): Call[] {
    return [...this.#lines.values()].flatMap((line) => [...line]);
  }

  remove(call: Call): void {
    const line = this.#lines.get(call.sessionKey);
    if (line?.delete(call) && line.size === 0) this.#lines.delete(call.sessionKey);
  }
}
