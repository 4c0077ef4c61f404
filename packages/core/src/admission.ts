import type { Operation } from "./operation.ts";
import type { ServerCall } from "./request-context.ts";
import { RpcError } from "./rpc-error.ts";
import { Status } from "./status.ts";
import { now } from "./timer-wheel.ts";
import { atEndOfTurn, inNextTurn } from "./turn.ts";

/** How many calls of a service or method run at once, and how many more wait for that. */
export interface ThrottleOptions {
  /** Calls that run at once. Default: no limit of its own. */
  readonly maxConcurrentCalls?: number | undefined;
  /** Calls that wait, within their deadlines, for others to end; more are answered RESOURCE_EXHAUSTED. Default 1,000. */
  readonly maxQueuedCalls?: number | undefined;
}

/** How long handlers are started before the event loop gets a turn. */
const sliceMs = 5;

/** One limit on calls that run at once, shared by all operations that it applies to. */
export class Throttle {
  running = 0;
  /** Those that run and those that wait. */
  admitted = 0;
  readonly #name: string;
  readonly #maxRunning: number;
  readonly #maxWaiting: number;

  /** `name` is what is limited, for the text of refusals. TypeError for numbers that cannot be. */
  constructor(name: string, { maxConcurrentCalls = Infinity, maxQueuedCalls = 1_000 }: ThrottleOptions) {
    checkCount("maxConcurrentCalls", maxConcurrentCalls, 1);
    checkCount("maxQueuedCalls", maxQueuedCalls, 0);
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
      `${this.#name} runs ${this.#maxRunning} calls at once${waiting}, as many as it allows (its ${knob}); try again later`,
    );
  }
}

/** Calls that have the same limits, waiting in turns: each session has a line of its own. */
export class Lane {
  readonly throttles: readonly Throttle[];
  /** By session; the first one is the next to be served. */
  readonly #lines = new Map<unknown, Set<ServerCall>>();

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

  push(call: ServerCall): void {
    const line = this.#lines.get(call.sessionKey);
    if (line) line.add(call);
    else this.#lines.set(call.sessionKey, new Set([call]));
  }

  /** The next call of the session whose turn it is and whose peer reads what it gets; that session is the last one then. */
  shift(): ServerCall | undefined {
    for (const [key, line] of this.#lines) {
      for (const call of line) {
        if (call.isHeldBack) break;
        this.#lines.delete(key);
        line.delete(call);
        if (line.size > 0) this.#lines.set(key, line);
        return call;
      }
    }
    return undefined;
  }

  remove(call: ServerCall): void {
    const line = this.#lines.get(call.sessionKey);
    if (line?.delete(call) && line.size === 0) this.#lines.delete(call.sessionKey);
  }
}

/**
 * Decides which calls run, and when: as many at once as the throttles allow, those that wait in fair turns over the
 * sessions, and no more in one turn of the event loop than fit into a slice of time.
 */
export class Admission {
  readonly #lanes = new Set<Lane>();
  #waiting = 0;
  #sliceEndMs = 0;
  #inTurn = false;
  #scheduled = false;
  readonly #endTurn = (): void => {
    this.#inTurn = false;
  };
  readonly #serve = (): void => {
    this.#scheduled = false;
    this.#serveWaiting();
  };

  /** A lane for operations under the given limits. */
  lane(throttles: readonly Throttle[]): Lane {
    const lane = new Lane(throttles);
    this.#lanes.add(lane);
    return lane;
  }

  /** Counts a call in; or says why it cannot come in. */
  admit({ lane }: Operation): RpcError | undefined {
    if (!lane) return undefined;
    for (const throttle of lane.throttles) if (throttle.isFull) return throttle.refusal();
    for (const throttle of lane.throttles) throttle.admitted += 1;
    return undefined;
  }

  /** Runs a call that was admitted, now or when its turn comes. */
  enter(call: ServerCall): void {
    const { lane } = call.operation;
    if (!lane || (lane.isEmpty && lane.hasRoom && !call.isHeldBack && !this.#isSliceOver())) return this.#run(call, lane);
    call.stage = "waiting";
    lane.push(call);
    this.#waiting += 1;
    if (lane.hasRoom) this.#serveSoon();
  }

  /** A peer reads again, for which calls may have waited. */
  relieved(): void {
    if (this.#waiting > 0) this.#serveSoon();
  }

  /** Counts a call out, whether it ran, waited, or had not got so far. */
  leave(call: ServerCall): void {
    const { lane } = call.operation;
    if (!lane) return;
    for (const throttle of lane.throttles) throttle.admitted -= 1;
    if (call.stage === "waiting") {
      lane.remove(call);
      this.#waiting -= 1;
    } else if (call.stage === "running") {
      for (const throttle of lane.throttles) throttle.running -= 1;
      if (this.#waiting > 0) this.#serveSoon();
    }
    call.stage = "over";
  }

  #run(call: ServerCall, lane: Lane | undefined): void {
    if (!this.#inTurn) {
      this.#inTurn = true;
      this.#sliceEndMs = now() + sliceMs;
      atEndOfTurn(this.#endTurn);
    }
    call.stage = "running";
    if (lane) for (const throttle of lane.throttles) throttle.running += 1;
    call.operation.run(call);
  }

  #isSliceOver(): boolean {
    return this.#inTurn && now() >= this.#sliceEndMs;
  }

  #serveSoon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    inNextTurn(this.#serve);
  }

  /** One call of each lane in turn. */
  #serveWaiting(): void {
    for (let found = true; found && this.#waiting > 0;) {
      found = false;
      for (const lane of this.#lanes) {
        if (!lane.hasRoom) continue;
        if (!lane.isEmpty && this.#isSliceOver()) return this.#serveSoon();
        const call = lane.shift();
        if (!call) continue;
        found = true;
        this.#waiting -= 1;
        this.#run(call, lane);
      }
    }
  }
}

/** TypeError for what is no number of things to allow. */
export function checkCount(name: string, value: unknown, least: number): void {
  if (typeof value === "number" && value >= least && (Number.isInteger(value) || value === Infinity)) return;
  throw new TypeError(`${name} must be a whole number from ${least} up, or Infinity, not ${String(value)}`);
}
