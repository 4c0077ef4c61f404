import { Lane } from "./lane.ts";
import type { Throttle } from "./lane.ts";
import type { IncomingCall, Operation } from "./operation.ts";
import type { RpcError } from "./rpc-error.ts";
import { now } from "./timer-wheel.ts";
import { atEndOfTurn, inNextTurn } from "./turn.ts";

/** What requests that came compressed may take together, while handlers have them; others wait as they came. */
const maxInflatedBytes = 256 * 1024 * 1024;
/** How long handlers are started before the event loop gets a turn. */
const sliceMs = 5;

/**
 * Decides which calls run, and when: as many at once as the throttles allow, those that wait in fair turns over the
 * sessions, and no more in one turn of the event loop than fit into a slice of time.
 */
export class Admission {
  readonly #lanes = new Set<Lane<IncomingCall>>();
  #waiting = 0;
  #inflatedBytes = 0;
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
  readonly #hasMemory = ({ inflatedBytes }: IncomingCall): boolean =>
    inflatedBytes === 0 || this.#inflatedBytes < maxInflatedBytes;

  /** A lane for operations under the given limits. */
  lane(throttles: readonly Throttle[]): Lane<IncomingCall> {
    const lane = new Lane<IncomingCall>(throttles);
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
  enter(call: IncomingCall): void {
    const { lane } = call.operation;
    if (!lane || (lane.isEmpty && lane.hasRoom && !call.isHeldBack && this.#hasMemory(call) && !this.#isSliceOver()))
      return this.#run(call, lane);
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
  leave(call: IncomingCall): void {
    const { lane } = call.operation;
    if (!lane) return;
    for (const throttle of lane.throttles) throttle.admitted -= 1;
    if (call.stage === "waiting") {
      lane.remove(call);
      this.#waiting -= 1;
    } else if (call.stage === "running") {
      for (const throttle of lane.throttles) throttle.running -= 1;
      this.#inflatedBytes -= call.inflatedBytes;
      if (this.#waiting > 0) this.#serveSoon();
    }
    call.stage = "over";
  }

  #run(call: IncomingCall, lane: Lane<IncomingCall> | undefined): void {
    if (!this.#inTurn) {
      this.#inTurn = true;
      this.#sliceEndMs = now() + sliceMs;
      atEndOfTurn(this.#endTurn);
    }
    call.stage = "running";
    if (lane) {
      for (const throttle of lane.throttles) throttle.running += 1;
      this.#inflatedBytes += call.inflatedBytes;
    }
    if (call.prepare()) call.operation.run(call);
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
        const call = lane.shift(this.#hasMemory);
        if (!call) continue;
        found = true;
        this.#waiting -= 1;
        this.#run(call, lane);
      }
    }
  }
}
