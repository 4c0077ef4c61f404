import { detached } from "./ambient.ts";
import type { BindingLike } from "./binding.ts";
import { CallPool } from "./call-pool.ts";
import { channelChecks } from "./channel-options.ts";
import type { ChannelOptions } from "./channel-options.ts";
import { areFunctions, checkOptions, kindOf } from "./check.ts";
import { createClient } from "./client.ts";
import type { CallStarter } from "./client.ts";
import { checkContract, checkHasCalls } from "./contract.ts";
import type { Contract } from "./contract.ts";
import { Dispatcher } from "./dispatcher.ts";
import { logFailure } from "./handler-failure.ts";
import type { HandlerClass, ServeOptions } from "./serve-options.ts";
import { toService } from "./service-check.ts";
import type { BindingChoice } from "./end.ts";
import type { Interceptor } from "./interceptor.ts";
import { Lifecycle } from "./lifecycle.ts";

/** What a client may have of its own. */
export interface ClientOptions {
  /** Run inside of the channel's own, the first outermost. */
  readonly interceptors?: readonly Interceptor[] | undefined;
}

/**
 * The client's end: connects to one or several addresses by itself, when first used and again whenever a connection is
 * lost, and is shared by all clients made from it. With several addresses, calls take turns over those that are there.
 *
 * `close` lets open calls finish for at most `drainTimeoutMs`; what is still open then, and everything at `abort`, ends
 * CANCELLED. Calls made afterwards end UNAVAILABLE, those included that handlers of callbacks make.
 */
export class Channel extends Lifecycle {
  /** The inside of a channel, for those in this package that make calls without a client. */
  static readonly starterOf: (channel: Channel) => CallStarter = (channel) => channel.#pool;

  readonly #pool: CallPool;
  readonly #dispatcher: Dispatcher;
  readonly #interceptors: readonly Interceptor[];

  /** TypeError for an address that the binding's transport does not understand, and for options out of their range. */
  constructor(
    address: string | readonly string[],
    options: ChannelOptions & { readonly binding: BindingLike | BindingChoice },
  ) {
    super();
    if (options === undefined) throw new TypeError("a channel needs options, at least its binding");
    checkOptions("channel option", options, channelChecks);
    if (typeof address !== "string" && !Array.isArray(address))
      throw new TypeError(`a channel needs an address or an array of them, not ${kindOf(address)}`);
    const addresses = typeof address === "string" ? [address] : [...new Set(address)];
    if (addresses.length === 0) throw new TypeError('a channel needs an address, for example "tcp://127.0.0.1:5555"');
    this.#interceptors = options.interceptors ?? [];
    this.#dispatcher = new Dispatcher({}, options.onError ?? logFailure, (what) => this.#pool.counters.count(what));
    this.#pool = new CallPool(addresses, options, () => void this.opened().catch(() => undefined), this.#dispatcher);
  }

  /** The address, or all of them; the real one if the channel has bound a wildcard. */
  get address(): string {
    return this.#pool.address;
  }

  /** Whether a call made now could be sent at once. */
  get connected(): boolean {
    return this.#pool.connected;
  }

  /** What was dropped since it was made, by reason: replies that came after their call had ended, and the like. */
  get counters(): Readonly<Record<string, number>> {
    return this.#pool.counters.read();
  }

  /** Begins to connect without waiting for the first call. Does not wait for a server; rejects if it cannot bind. */
  open(): Promise<void> {
    return detached(() => this.opened());
  }

  /**
   * A typed client of a contract. Clients are cheap, have no state of their own, and end with their channel. TypeError
   * for what is no contract, Error for one with methods that the binding cannot carry.
   */
  client<Client>(contract: Contract<Client>, options: ClientOptions = {}): Client {
    checkContract(contract);
    checkHasCalls(contract);
    checkOptions("client option", options, { interceptors: areFunctions });
    this.#pool.check(contract);
    const interceptors = [...this.#interceptors, ...(options.interceptors ?? [])];
    return createClient(this.#pool, contract, interceptors) as Client;
  }

  /**
   * Answers the calls that servers make back over this channel's sessions, for the contract that a service names as
   * its callback. Handlers and options are those of `ServiceHost.serve`. Throws TypeError as it does, and Error once the
   * channel is open: its servers might have called already.
   */
  serve<Handler extends object>(contract: Contract<unknown, Handler>, handler: Handler, options?: ServeOptions): this;
  serve<Handler extends object>(
    contract: Contract<unknown, Handler>,
    handler: HandlerClass<Handler>,
    options?: ServeOptions<Handler>,
  ): this;
  serve(contract: Contract, handler: object, options?: ServeOptions): this {
    if (this.state !== "created")
      throw new Error(`callbacks are served before the channel is used; it is ${this.state}`);
    const service = toService(contract, handler, options);
    this.#dispatcher.add(service, service.options.interceptors ?? []);
    return this;
  }

  protected async onOpen(): Promise<void> {
    try {
      await this.#dispatcher.open();
    } catch (error) {
      this.#pool.giveUp(`what answers its callbacks could not be made: ${String(error)}`);
      throw error;
    }
    await this.#pool.attach();
  }

  protected onClosing(): void {
    this.#pool.refuse();
    this.#dispatcher.cutOpening();
  }

  protected async onClose(graceful: boolean): Promise<void> {
    await this.#pool.close(graceful);
    await this.#dispatcher.close(graceful);
  }

  protected onAbort(): void {
    this.#pool.cutShort();
    this.#dispatcher.cutClosing();
  }
}
