import { checkContract, checkOptions, Lifecycle } from "@zerobind/core";
import type { Contract, EventHandlerOf, SubscribeOptions, SubscriberOf, Subscription } from "@zerobind/core";
import type { ParsedAddress } from "../address.ts";
import { exposureWarning, isExposed } from "../guard.ts";
import { toSettings } from "../options.ts";
import { parseAddresses, subscriberChecks } from "./event-options.ts";
import type { EventSubscriberOptions } from "./event-options.ts";
import { handlerFunctions, SubscriberCore } from "./subscriber-core.ts";
import type { EventSubscription } from "./subscription.ts";
import { eventMethods } from "./topic-template.ts";
import type { TopicTemplate } from "./topic-template.ts";

/**
 * Subscribes to the events of contracts, at any number of publishers.
 *
 *     await using inbox = new EventSubscriber("tcp://127.0.0.1:5556");
 *     const changes = inbox.subscriber(Prices).priceChanged({ symbol: "ACME" });
 *     await inbox.ready;
 *     for await (const { price } of changes) console.log(price);
 *
 * It opens by itself with the first subscription, connects when somebody is there, and again when a connection was
 * lost. Nothing is missed that is published after `ready`; what is missed nevertheless, since a connection was lost or
 * this end did not keep up, shows as a gap, and is asked for if the publisher keeps events. Several subscriptions share
 * connections and filters. Events of one topic of one publisher come in their order; topics and publishers among each
 * other have none. A subscription that one of several publishers does not allow ends as a whole: without it, it would be
 * incomplete, and nothing would show that.
 */
export class EventSubscriber extends Lifecycle {
  readonly #options: EventSubscriberOptions;
  readonly #attach: "bind" | "connect";
  readonly #parsed: readonly ParsedAddress[];
  readonly #core: SubscriberCore;

  /** TypeError for addresses and options that cannot be. */
  constructor(address: string | readonly string[], options: EventSubscriberOptions = {}) {
    super();
    checkOptions("subscriber option", options, subscriberChecks);
    const settings = toSettings(options.zeromq);
    this.#options = options;
    this.#attach = options.attach ?? "connect";
    this.#parsed = parseAddresses(address, this.#attach, settings);
    this.#core = new SubscriberCore(options, settings, this.#parsed);
  }

  /** The real address of the first socket, with the port that a wildcard stood for. */
  get address(): string {
    return this.addresses[0]!;
  }

  /** The real addresses, in the order in which they were given. */
  get addresses(): readonly string[] {
    return this.#core.ports.map(({ address }) => address);
  }

  /** What was lost or dropped since it was made, by reason: `lost`, `duplicates`, `malformed`, … */
  get counters(): Readonly<Record<string, number>> {
    return this.#core.counts.read();
  }

  /**
   * Resolves when every address that it connects to has answered for the filters that there are now, or, where it binds,
   * at least `minPublishers` have: nothing published after that is missed. Rejects when it is closed; with
   * UNAUTHENTICATED if an end does not let this one in, where it goes on trying all the same; and, while it waits, with
   * PERMISSION_DENIED or UNAUTHENTICATED if a publisher does not allow one of the subscriptions, which ends then.
   */
  get ready(): Promise<void> {
    return this.waitForReady();
  }

  /** As `ready`, and rejects when it takes longer. */
  waitForReady(timeoutMs: number = Infinity): Promise<void> {
    this.#openSoon();
    return this.#core.waitForReady(undefined, timeoutMs);
  }

  /** Opens it. Rejects if an address cannot be bound, and closes it then. */
  open(): Promise<void> {
    return this.opened();
  }

  /** The functions that subscribe to the events of a contract, one for each method with the option `event`. */
  subscriber<C extends Contract>(contract: C): SubscriberOf<C> {
    checkContract(contract);
    const stub: Record<string, unknown> = {};
    for (const [name, template] of eventMethods(contract))
      stub[name] = (filter?: object, options: SubscribeOptions<unknown> = {}) =>
        this.#subscribe(template, filter, options);
    return stub as SubscriberOf<C>;
  }

  /**
   * Subscribes to all events of the methods that the handler has, and hands them to it: of each method one after the
   * other. What it throws goes to `onError`, and the next event goes on. TypeError for a handler with other methods.
   */
  serve<C extends Contract>(
    contract: C,
    handler: Partial<EventHandlerOf<C>>,
    options: Omit<SubscribeOptions<unknown>, "onEvent"> = {},
  ): readonly Subscription<unknown>[] {
    checkContract(contract);
    const functions = handlerFunctions(contract.typeName, eventMethods(contract), handler);
    return functions.map(([template, onEvent]) => this.#subscribe(template, undefined, { ...options, onEvent }));
  }

  protected async onOpen(): Promise<void> {
    const { settings, ports } = this.#core;
    for (const [index, parsed] of this.#parsed.entries()) {
      if (isExposed(parsed, settings, this.#attach)) settings.onWarning(exposureWarning(parsed.endpoint));
      await ports[index]!.open();
    }
  }

  protected onClosing(): void {
    this.#core.waiting.end(`the subscriber is ${this.closeReason?.message ?? "closed"}`);
  }

  protected async onClose(graceful: boolean): Promise<void> {
    await Promise.all(this.#core.ports.map((port) => port.close()));
    if (!graceful) return this.#core.end(false);
    const { drainTimeoutMs = 5_000 } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, Math.min(drainTimeoutMs, 2 ** 31 - 1))));
    await Promise.race([this.#core.end(true), late]);
    clearTimeout(timer);
    this.#core.giveUp();
  }

  protected onAbort(): void {
    void this.#core.end(false);
  }

  #subscribe(
    template: TopicTemplate,
    filter: object | undefined,
    options: SubscribeOptions<unknown>,
  ): EventSubscription {
    if (this.state === "closing" || this.state === "closed")
      throw new Error(`${template.path} cannot be subscribed to: the subscriber is ${this.state}`);
    const subscription = this.#core.subscribe(template, filter, options);
    this.#openSoon();
    return subscription;
  }

  #openSoon(): void {
    // Whoever calls open() gets the failure, and `closed` tells it to everybody.
    if (this.state === "created")
      this.opened().catch((error: unknown) => this.#core.trouble("open", () => String(error)));
  }
}
