import { RpcError } from "../rpc-error.ts";
import { Status } from "../status.ts";
import { TimerWheel } from "../timer-wheel.ts";
import type { Link } from "../transport.ts";
import type { CallHub, DeviceMethod, ForwardedCall } from "./forwarded-call.ts";
import { HeldCalls } from "./held-calls.ts";
import type { Services } from "./held-calls.ts";
import { costOf } from "./passing.ts";

/** Whoever carries calls out. */
export interface CallWorker {
  readonly link: Link;
  /** Names of the services that it serves; undefined if it did not say. */
  readonly services: Services;
  /** Calls that it takes at once, that it has, and that it would take now. */
  readonly credit: number;
  readonly load: number;
  readonly freeCredit: number;
  /** Whether it takes another call. */
  readonly hasRoom: boolean;
  serves(service: string): boolean;
  /** Sends it a call; only while `hasRoom`. */
  forward(call: ForwardedCall): void;
}

/** What bounds the calls that wait in a device. */
export interface SwitchLimits {
  readonly maxQueuedCalls: number;
  readonly maxQueuedBytes: number;
}

/** A worker that joins or leaves, for those who watch. */
export interface WorkerChange {
  readonly change: "joined" | "left";
  /** Where the worker is, as far as the transport can tell. */
  readonly address: string;
  /** Names of the services that it serves; undefined if it did not say, which means all. */
  readonly services: readonly string[] | undefined;
  /** Calls that it takes at once. */
  readonly credit: number;
  /** Why it left. */
  readonly reason?: string;
}

/** Brings calls and workers together: to the least loaded that serves the call, or into a queue until there is one. */
export class CallSwitch implements CallHub {
  readonly wheel: TimerWheel = new TimerWheel(false);
  readonly maxDeliveries: number = 3;
  readonly count: (what: string) => void;
  readonly #limits: SwitchLimits;
  readonly #held = new HeldCalls();
  readonly #onTrouble: (problem: string) => void;
  readonly #onWorker: (change: WorkerChange) => void;
  /** Told whenever a call has ended or left the queue. */
  moved: () => void = () => undefined;
  draining = false;
  #workers: CallWorker[] = [];
  /** Workers that are being given calls. */
  readonly #serving = new Set<CallWorker>();
  #turn = 0;
  #queuedBytes = 0;

  constructor(
    limits: SwitchLimits,
    count: (what: string) => void,
    onTrouble: (problem: string) => void,
    onWorker: (change: WorkerChange) => void,
  ) {
    this.#limits = limits;
    this.count = count;
    this.#onTrouble = onTrouble;
    this.#onWorker = onWorker;
  }

  get workers(): readonly CallWorker[] {
    return this.#workers;
  }

  get heldCalls(): number {
    return this.#held.count;
  }

  dispatch(call: ForwardedCall): void {
    const worker = call.isHeldBack ? undefined : this.#pick(call.method);
    if (worker) worker.forward(call);
    else this.#hold(call);
  }

  withdrawn(call: ForwardedCall): void {
    this.#held.remove(call);
    this.moved();
  }

  keep(call: ForwardedCall, bytes: number): boolean {
    if (this.#queuedBytes + bytes > this.#limits.maxQueuedBytes) return false;
    this.#queuedBytes += bytes;
    call.cost += bytes;
    return true;
  }

  release(call: ForwardedCall): void {
    this.#queuedBytes -= call.cost;
    call.cost = 0;
  }

  joined(worker: CallWorker): void {
    this.#workers.push(worker);
    this.#onWorker({ change: "joined", ...describe(worker) });
    this.roomy(worker);
  }

  /** It must not get more calls. Does nothing if it had left already. */
  left(worker: CallWorker, reason: string): void {
    if (!this.#workers.includes(worker)) return;
    this.#workers = this.#workers.filter((other) => other !== worker);
    this.#onWorker({ change: "left", ...describe(worker), reason });
    if (this.draining) this.refuseHopeless();
  }

  /** A worker has room for calls. */
  roomy(worker: CallWorker): void {
    // A call that ends as it is sent makes room again; so many of them must not do so one within the other.
    if (this.#held.count === 0 || this.#serving.has(worker)) return;
    this.#serving.add(worker);
    try {
      while (this.#held.count > 0 && worker.hasRoom) {
        const call = this.#held.take(worker.services);
        if (!call) return;
        this.release(call);
        call.stage = "arriving";
        worker.forward(call);
        this.moved();
      }
    } finally {
      this.#serving.delete(worker);
    }
  }

  /** A client reads again, for which calls may have waited. */
  relieved(): void {
    for (const worker of this.#workers) this.roomy(worker);
  }

  dropped(what: string): void {
    this.count("dropped one-way call");
    this.#onTrouble(what);
  }

  obstacle({ path, service }: DeviceMethod): string {
    const serving = this.#workers.filter((worker) => worker.serves(service));
    if (serving.length === 0)
      return this.#workers.length === 0
        ? `no worker for ${path} was there`
        : `no worker for ${path} was there, only ${this.#workers.length} that serve other services`;
    return `its ${serving.length} workers had as many calls open as they allow (their limit maxConcurrentCalls), or its client did not read`;
  }

  /** While the device drains: lets go of the calls for which no worker is there; their clients may send them elsewhere. */
  refuseHopeless(): void {
    for (const call of this.#held.all()) if (!this.#isServed(call)) call.refuse("the device is closing");
  }

  /** Lets go of all calls that wait. */
  refuseAll(): void {
    for (const call of this.#held.all()) call.refuse("the device is closing");
  }

  #hold(call: ForwardedCall): void {
    const { maxQueuedCalls, maxQueuedBytes } = this.#limits;
    this.release(call);
    if (this.draining && !this.#isServed(call)) return call.refuse("the device is closing");
    const tooMany = this.#held.count >= maxQueuedCalls;
    if (tooMany || !this.keep(call, costOf(call.opening.body))) {
      this.count("refused call");
      const [what, option, bound] = tooMany
        ? ["calls", "maxQueuedCalls", maxQueuedCalls]
        : ["bytes of calls", "maxQueuedBytes", maxQueuedBytes];
      const text = `${call.method.path}: as many ${what} wait for a worker as the device allows (its option ${option}, ${bound}): ${this.obstacle(call.method)}`;
      return call.fail(new RpcError(Status.RESOURCE_EXHAUSTED, text));
    }
    call.held();
    this.#held.add(call);
  }

  #isServed({ method: { service } }: ForwardedCall): boolean {
    return this.#workers.some((worker) => worker.serves(service));
  }

  /** The worker with the fewest calls open, of those the one with the most credit left; the like take turns. */
  #pick({ service }: DeviceMethod): CallWorker | undefined {
    const workers = this.#workers;
    const { length } = workers;
    let best: CallWorker | undefined;
    let bestIndex = 0;
    for (let tried = 0, index = this.#turn; tried < length; tried++) {
      if (++index >= length) index = 0;
      const worker = workers[index]!;
      if (!worker.hasRoom || !worker.serves(service)) continue;
      if (best && (worker.load > best.load || (worker.load === best.load && worker.freeCredit <= best.freeCredit)))
        continue;
      best = worker;
      bestIndex = index;
      // The common case in a large crowd; there cannot be a better one but for its credit.
      if (worker.load === 0) break;
    }
    if (best) this.#turn = bestIndex;
    return best;
  }
}

function describe({ link, services, credit }: CallWorker) {
  return { address: link.remoteAddress, services: services && [...services], credit };
}
