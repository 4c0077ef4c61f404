import type { BindingLike } from "../binding.ts";
import { checkOptions } from "../check.ts";
import { EndCounters, bindingFor, guarded, sessionTimes } from "../end.ts";
import type { BindingChoice } from "../end.ts";
import { Lifecycle } from "../lifecycle.ts";
import { toLimits } from "../limits.ts";
import { sessionParts } from "../session-parts.ts";
import { SessionCount } from "../session-count.ts";
import { TimerWheel, now } from "../timer-wheel.ts";
import { inNextTurn } from "../turn.ts";
import { BackEnd } from "./back-end.ts";
import { CallSwitch } from "./call-switch.ts";
import { endpointsOf, queueDeviceChecks } from "./device-options.ts";
import type { DeviceEndpoint, QueueDeviceOptions } from "./device-options.ts";
import { FrontEnd } from "./front-end.ts";
import type { DeviceEndSettings } from "./front-end.ts";

/** How a device stands at a moment. */
export interface QueueDeviceStatus {
  /** Clients with a session; plain ones are not counted. */
  readonly clients: number;
  readonly workers: number;
  /** Calls that the workers would take now. */
  readonly freeCredit: number;
  /** Calls that workers have. */
  readonly running: number;
  /** Calls that wait for a worker. */
  readonly held: number;
}

/** The real addresses of a device, in the order in which they were given. */
export interface QueueDeviceAddresses {
  readonly frontend: readonly string[];
  readonly backend: readonly string[];
  readonly plainBackend: readonly string[];
}

/** How long clients that are owed nothing may take to hang up. */
const hangUpMs = 250;

/**
 * A queue between clients and workers, which both come and go as they like: a server to those in front, a client to
 * those behind. Each call goes to the least loaded worker that serves it; while there is none, or none has room, it
 * waits within its deadline, in fair turns over the clients.
 *
 * Streams, metadata, deadlines and cancellation pass through; messages are not decoded. The calls of a client may go to
 * different workers, so nothing of a session does: no callbacks, and no state of handlers. When a worker is lost, the
 * calls that it had end UNAVAILABLE, except those that cannot have reached it, and idempotent ones with a single
 * request: these go to another worker, at most three in all.
 *
 * `close` asks clients to go elsewhere, and lets the calls that are open end for at most `drainTimeoutMs`.
 */
export class QueueDevice extends Lifecycle {
  readonly #options: QueueDeviceOptions;
  readonly #counters = new EndCounters();
  readonly #watch = new TimerWheel(false);
  readonly #hub: CallSwitch;
  readonly #fronts: readonly FrontEnd[];
  readonly #backs: readonly BackEnd[];
  readonly #plainBacks: readonly BackEnd[];
  #changed: (() => void) | undefined;
  #cut = false;

  /** TypeError for addresses and options that cannot be. */
  constructor(options: QueueDeviceOptions & { readonly binding: BindingLike | BindingChoice }) {
    super();
    checkOptions("queue device option", options, queueDeviceChecks);
    const { maxQueuedCalls = 10_000, maxQueuedBytes = 256 * 1024 * 1024, maxSessions = 10_000 } = options;
    this.#options = options;
    const onTrouble = guarded(options.onTrouble);
    const count = this.#counters.count;
    const { onWorker } = options;
    this.#hub = new CallSwitch({ maxQueuedCalls, maxQueuedBytes }, count, onTrouble, (change) => {
      try {
        onWorker?.(change);
      } catch {
        // Whoever is told has nobody to tell.
      }
    });
    const moved = (): void => this.#changed?.();
    this.#hub.moved = moved;
    const settings: DeviceEndSettings = {
      hub: this.#hub,
      session: {
        limits: toLimits(options.limits),
        ...sessionTimes(options),
        watchWheel: this.#watch,
        count,
        onDefect: (error) => onTrouble(`an internal error: ${String(error)}`),
      },
      onTrouble,
    };
    const epoch = globalThis.crypto.getRandomValues(new Uint8Array(8));
    const frontSettings = { ...settings, epoch, sessions: new SessionCount(maxSessions), moved };
    const { binding, plainBackend, plainBinding } = options;
    const back = (endpoint: DeviceEndpoint, choice: BindingLike | BindingChoice): BackEnd =>
      new BackEnd(endpoint, stackFor(endpoint, choice), settings);
    this.#fronts = endpointsOf("frontend", options.frontend).map(
      (endpoint) => new FrontEnd(endpoint, stackFor(endpoint, binding), frontSettings),
    );
    this.#backs = endpointsOf("backend", options.backend).map((endpoint) => back(endpoint, binding));
    if (plainBackend !== undefined && plainBinding === undefined)
      throw new TypeError("plainBackend needs plainBinding, whose transport makes plain workers look like others");
    this.#plainBacks =
      plainBackend === undefined || plainBinding === undefined
        ? []
        : endpointsOf("plainBackend", plainBackend).map((endpoint) => back(endpoint, plainBinding));
    checkAlike(options);
  }

  /** The real addresses, with the ports that wildcards stood for; empty texts while it is not open. */
  get addresses(): QueueDeviceAddresses {
    const of = (ends: readonly { address: string }[]): string[] => ends.map(({ address }) => address);
    return { frontend: of(this.#fronts), backend: of(this.#backs), plainBackend: of(this.#plainBacks) };
  }

  get status(): QueueDeviceStatus {
    const { workers, heldCalls } = this.#hub;
    let freeCredit = 0;
    for (const worker of workers) freeCredit += worker.freeCredit;
    return {
      clients: this.#fronts.reduce((sum, { sessionCount }) => sum + sessionCount, 0),
      workers: workers.length,
      freeCredit,
      running: [...this.#backs, ...this.#plainBacks].reduce((sum, { openCalls }) => sum + openCalls, 0),
      held: heldCalls,
    };
  }

  /** What was dropped or refused since it opened, by reason. */
  get counters(): Readonly<Record<string, number>> {
    return this.#counters.read();
  }

  /** Attaches to all addresses; rejects, with all given up, if one cannot be bound. */
  open(): Promise<void> {
    return this.opened();
  }

  protected async onOpen(): Promise<void> {
    try {
      // Workers first: a client that finds the device should find them, too.
      for (const end of [...this.#backs, ...this.#plainBacks, ...this.#fronts]) await end.attach();
    } catch (error) {
      await this.#closeEnds();
      throw error;
    }
  }

  protected onClosing(): void {
    this.#hub.draining = true;
  }

  protected async onClose(graceful: boolean): Promise<void> {
    if (graceful) await this.#drain(now() + (this.#options.drainTimeoutMs ?? 5_000));
    this.#hub.refuseAll();
    await this.#closeEnds();
    this.#hub.wheel.clear();
    this.#watch.clear();
  }

  protected onAbort(): void {
    this.#cut = true;
    this.#changed?.();
  }

  async #closeEnds(): Promise<void> {
    // Those in front first, so that the calls which they give up are cancelled at the workers.
    await Promise.all(this.#fronts.map((end) => end.close()));
    await Promise.all([...this.#backs, ...this.#plainBacks].map((end) => end.close()));
  }

  async #drain(deadlineMs: number): Promise<void> {
    const fronts = this.#fronts;
    for (const end of fronts) end.drain();
    this.#hub.refuseHopeless();
    const backs = [...this.#backs, ...this.#plainBacks];
    const isIdle = (): boolean =>
      this.#hub.heldCalls === 0 &&
      fronts.every(({ openCalls }) => openCalls === 0) &&
      // Nothing is open of a one-way call that has still to leave.
      backs.every(({ isHolding }) => !isHolding);
    if (!(await this.#until(isIdle, deadlineMs))) return;
    // Clients hang up by themselves; those that do not are not waited for.
    await this.#until(() => !fronts.some(({ isOwing }) => isOwing), deadlineMs);
    await this.#until(
      () => fronts.every(({ sessionCount }) => sessionCount === 0),
      Math.min(deadlineMs, now() + hangUpMs),
    );
  }

  /** Waits until something is so, looking again whenever a call or session has ended. */
  async #until(isSo: () => boolean, deadlineMs: number): Promise<boolean> {
    while (!isSo() && !this.#cut) {
      const leftMs = deadlineMs - now();
      if (leftMs <= 0) return false;
      await new Promise<void>((resolve) => {
        const timer = leftMs === Infinity ? undefined : setTimeout(resolve, Math.min(leftMs, 0x7fffffff));
        this.#changed = () => {
          clearTimeout(timer);
          // Several end in one turn; one look after it is enough.
          inNextTurn(resolve);
        };
      });
      this.#changed = undefined;
    }
    return isSo();
  }
}

function stackFor({ address, attach = "bind" }: DeviceEndpoint, choice: BindingLike | BindingChoice) {
  return bindingFor(address, choice, attach).stack;
}

/** Messages pass as they are, so both sides must mean the same by them. */
function checkAlike(options: QueueDeviceOptions & { readonly binding: BindingLike | BindingChoice }): void {
  const { frontend, backend, plainBackend, binding, plainBinding = binding } = options;
  const told = [
    ...endpointsOf("frontend", frontend).map((endpoint) => [endpoint, binding] as const),
    ...endpointsOf("backend", backend).map((endpoint) => [endpoint, binding] as const),
    ...(plainBackend === undefined ? [] : endpointsOf("plainBackend", plainBackend)).map(
      (endpoint) => [endpoint, plainBinding] as const,
    ),
  ].map(([endpoint, choice]) => {
    const { encoding, elements } = sessionParts(stackFor(endpoint, choice));
    return { address: endpoint.address, layers: [...elements, encoding].join(", ") };
  });
  const [first] = told;
  const other = told.find(({ layers }) => layers !== first?.layers);
  if (first && other)
    throw new TypeError(
      `messages pass a queue device as they are, but the bindings of its addresses differ: ${first.address} has [${first.layers}], ${other.address} has [${other.layers}]`,
    );
}
