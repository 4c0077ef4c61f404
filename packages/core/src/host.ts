import { accessChecks } from "./authorization.ts";
import type { Authenticate, Authorize, AuthorizationDecision } from "./authorization.ts";
import type { BindingLike } from "./binding.ts";
import { Dispatcher } from "./dispatcher.ts";
import { logFailure } from "./handler-failure.ts";
import type { HandlerFailure } from "./handler-failure.ts";
import type { Contract } from "./contract.ts";
import { areFunctions, checkOptions, isCount, isCountFrom, isFunction } from "./check.ts";
import type { Checks } from "./check.ts";
import type { Interceptor } from "./interceptor.ts";
import { Lifecycle } from "./lifecycle.ts";
import { toLimits } from "./limits.ts";
import type { Limits } from "./limits.ts";
import { EndCounters, checkAddress, endChecks, endInfo, guarded, sessionTimes } from "./end.ts";
import type { BindingChoice, EndOptions } from "./end.ts";
import type { HandlerClass, ServeOptions } from "./serve-options.ts";
import { checkNeeds, toService } from "./service-check.ts";
import { ServingEnd } from "./serving-end.ts";
import { SessionCount } from "./session-count.ts";
import { TimerWheel } from "./timer-wheel.ts";

/** Where a host is to be reached. */
export interface Endpoint {
  readonly address: string;
  /** Default: the host's. */
  readonly binding?: BindingLike;
  /** Which side of the connection it is; a host may as well connect, to a client or device that binds. Default `bind`. */
  readonly attach?: "bind" | "connect";
}

/** How a service host behaves. Times are in milliseconds. */
export interface ServiceHostOptions extends EndOptions {
  /** Run around every handler, the first outermost. */
  readonly interceptors?: readonly Interceptor[] | undefined;
  /** Calls of all sessions together that may run at once; more are answered RESOURCE_EXHAUSTED. Default 10,000. */
  readonly maxConcurrentCalls?: number | undefined;
  /** Calls that wait, within their deadlines, for others to end; more are answered RESOURCE_EXHAUSTED. Default 1,000. */
  readonly maxQueuedCalls?: number | undefined;
  /** Sessions of all endpoints together; more are refused when they say hello. Default 10,000. */
  readonly maxSessions?: number | undefined;
  /** Calls with streams that one session may have open at once; more are answered RESOURCE_EXHAUSTED. Default 1,000. */
  readonly maxStreamsPerSession?: number | undefined;
  /**
   * Finds out who makes a call, for each call, by its metadata (a token) or whatever else there is; see `callCredentials`
   * of the client. What it gives is the principal of the call, in the place of the one that the connection has proved;
   * undefined leaves that one. An RpcError that it throws is the answer; anything else that it throws goes to `onError`,
   * and the caller gets UNAUTHENTICATED. A promise is waited for within the call's deadline, for as long as the request
   * is kept undecoded. No metadata and no name of a connection makes a principal without it.
   */
  readonly authenticate?: Authenticate | undefined;
  /**
   * Asked about each call, after the rules of its method and its service have allowed it. A method without a rule it
   * decides about alone. Only `true` allows; what it throws refuses: an RpcError is the answer, anything else goes to
   * `onError`, and the caller gets PERMISSION_DENIED. See `ServeOptions.authorize` for when there are rules at all.
   */
  readonly authorize?: Authorize | undefined;
  /**
   * Told of each decision about a call, allowed ones too, before the call begins or is refused; only where there are
   * rules or `authenticate`. What it throws goes to `onError` and does no harm to the call.
   */
  readonly onAuthorization?: ((decision: AuthorizationDecision) => void) | undefined;
  /**
   * Told of what handlers, `authenticate` and the like throw and callers do not get to see, and of one-way calls that were
   * dropped. Default: `console.error`.
   */
  readonly onError?: ((error: unknown, failure: HandlerFailure) => void) | undefined;
}

const hostChecks: Checks = {
  ...endChecks,
  interceptors: areFunctions,
  maxConcurrentCalls: isCountFrom(1),
  maxQueuedCalls: isCount,
  maxSessions: isCountFrom(1),
  maxStreamsPerSession: isCount,
  ...accessChecks,
  onError: isFunction,
};

/**
 * Serves contracts on one or several addresses.
 *
 * Services are added before it opens; then it is open until it is closed. `close` lets the calls that run finish for at
 * most `drainTimeoutMs`, while new ones are refused in a way that lets their callers try elsewhere; what is still open
 * then, and everything at `abort`, ends UNAVAILABLE, and handlers see their signal abort.
 */
export class ServiceHost extends Lifecycle {
  readonly #options: ServiceHostOptions;
  readonly #choose: BindingChoice;
  readonly #dispatcher: Dispatcher;
  readonly #limits: Limits;
  readonly #sessions: SessionCount;
  readonly #maxStreamsPerSession: number;
  readonly #counters = new EndCounters();
  readonly #calls = new TimerWheel(true);
  readonly #watch = new TimerWheel(false);
  readonly #epoch = globalThis.crypto.getRandomValues(new Uint8Array(8));
  readonly #ends: ServingEnd[] = [];
  #endpoints: readonly Endpoint[] = [];
  #opening: Promise<void> = Promise.resolve();

  /** TypeError for options that are out of their range. */
  constructor(options: ServiceHostOptions & { readonly binding: BindingLike | BindingChoice }) {
    super();
    checkOptions("host option", options, hostChecks);
    const { binding, maxConcurrentCalls = 10_000, maxQueuedCalls } = options;
    const { maxSessions = 10_000, maxStreamsPerSession = 1_000 } = options;
    this.#options = options;
    this.#choose = typeof binding === "function" ? binding : () => binding;
    this.#limits = toLimits(options.limits);
    this.#sessions = new SessionCount(maxSessions);
    this.#maxStreamsPerSession = maxStreamsPerSession;
    this.#dispatcher = new Dispatcher(
      { maxConcurrentCalls, maxQueuedCalls },
      options.onError ?? logFailure,
      this.#counters.count,
      options,
    );
  }

  /** The real address of the first endpoint, with the port that a wildcard stood for; empty while it is not open. */
  get address(): string {
    return this.addresses[0] ?? "";
  }

  /** The real addresses, in the order in which they were given. */
  get addresses(): readonly string[] {
    return this.#ends.map(({ address }) => address);
  }

  /** What was dropped or refused since it opened, by reason. */
  get counters(): Readonly<Record<string, number>> {
    return this.#counters.read();
  }

  /**
   * Adds a service with the handler that implements it: an object, or a class, whose instances the host makes (see
   * `ServeOptions.instancing`). A class with decorators (see `@zerobind/core/decorators`) brings its contract along.
   * Throws TypeError if methods are missing (see `partial`) or options cannot be, and Error once the host is open.
   */
  serve<Handler extends object>(contract: Contract<unknown, Handler>, handler: Handler, options?: ServeOptions): this;
  serve<Handler extends object>(
    contract: Contract<unknown, Handler>,
    handler: HandlerClass<Handler>,
    options?: ServeOptions<Handler>,
  ): this;
  serve(service: HandlerClass<object>, options?: ServeOptions): this;
  serve(first: Contract | HandlerClass<object>, second?: unknown, third?: ServeOptions): this {
    if (this.state !== "created") throw new Error(`services are added before the host is opened; it is ${this.state}`);
    const service = toService(first, second, third);
    const { interceptors = [] } = service.options;
    this.#dispatcher.add(service, [...(this.#options.interceptors ?? []), ...interceptors]);
    return this;
  }

  /**
   * Opens it on the given addresses and resolves with the real ones. If one cannot be bound, all are given up and the
   * error names it. An open host may be opened on further addresses.
   */
  async open(...endpoints: (string | Endpoint)[]): Promise<readonly string[]> {
    const wanted = endpoints.map((given) => (typeof given === "string" ? { address: given } : given));
    if (wanted.length === 0) throw new TypeError('open needs an address, for example open("tcp://127.0.0.1:5555")');
    for (const endpoint of wanted) checkAddress(this.#bindingOf(endpoint), endpoint.address, endpoint.attach ?? "bind");
    // One after the other: what is asked for while it opens is added when it is open.
    const opening =
      this.state === "created" ? this.#openFirst(wanted) : this.#opening.then(() => this.#attachAll(wanted));
    this.#opening = opening.then(
      () => undefined,
      () => undefined,
    );
    return await opening;
  }

  async #openFirst(wanted: readonly Endpoint[]): Promise<readonly string[]> {
    this.#endpoints = wanted;
    await this.opened();
    this.#checkOpen();
    return this.addresses;
  }

  #checkOpen(): void {
    if (this.state !== "open" && this.state !== "opening")
      throw new Error(`the host is ${this.state} and cannot be opened`);
  }

  protected async onOpen(): Promise<void> {
    if (this.#dispatcher.services.length === 0)
      throw new Error("the host serves nothing yet: call serve(contract, handler) before open");
    await this.#dispatcher.open();
    await this.#attachAll(this.#endpoints);
  }

  protected onClosing(): void {
    // Each endpoint refuses new calls from the beginning of its drain.
    this.#dispatcher.cutOpening();
  }

  protected async onClose(graceful: boolean): Promise<void> {
    const { drainTimeoutMs = 5_000 } = this.#options;
    if (graceful) await Promise.all(this.#ends.map((end) => end.drain(drainTimeoutMs)));
    await Promise.all(this.#ends.map((end) => end.close()));
    await this.#dispatcher.close(graceful);
    this.#calls.clear();
    this.#watch.clear();
  }

  protected onAbort(): void {
    for (const end of this.#ends) end.stopDraining();
    this.#dispatcher.cutClosing();
  }

  #bindingOf(endpoint: Endpoint): BindingLike {
    return endpoint.binding ?? this.#choose(endpoint.address);
  }

  /** All or none. */
  async #attachAll(endpoints: readonly Endpoint[]): Promise<readonly string[]> {
    this.#checkOpen();
    const added: ServingEnd[] = [];
    try {
      for (const endpoint of endpoints) added.push(await this.#attach(endpoint));
      this.#checkOpen();
    } catch (error) {
      await Promise.all(added.map((end) => end.close()));
      throw error;
    }
    this.#ends.push(...added);
    return added.map(({ address }) => address);
  }

  async #attach(endpoint: Endpoint): Promise<ServingEnd> {
    const { stack } = this.#bindingOf(endpoint);
    checkNeeds(this.#dispatcher.needs, stack.transport, endpoint.address);
    const end = new ServingEnd(stack, {
      table: this.#dispatcher,
      wheel: this.#calls,
      epoch: this.#epoch,
      info: endInfo,
      session: {
        limits: this.#limits,
        ...sessionTimes(this.#options),
        watchWheel: this.#watch,
        count: this.#counters.count,
        onDefect: (error) => (this.#options.onError ?? logFailure)(error, { path: "", id: undefined }),
      },
      maxStreamsPerSession: this.#maxStreamsPerSession,
      sessions: this.#sessions,
      onTrouble: guarded(this.#options.onTrouble),
    });
    await end.attach(endpoint.address, endpoint.attach ?? "bind");
    return end;
  }
}
