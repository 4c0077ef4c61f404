import { checkOptions, kindOf } from "@zerobind/core";
import type { EventGap, EventInfo, RpcError, SubscribeOptions } from "@zerobind/core";
import type { ParsedAddress } from "../address.ts";
import type { ZeromqSettings } from "../options.ts";
import { subscribeChecks } from "./event-options.ts";
import type { EventSubscriberOptions } from "./event-options.ts";
import { EventTroubles } from "./event-troubles.ts";
import { FilterBook } from "./filter-book.ts";
import type { SubscriberPortOwner } from "./port-owner.ts";
import { SubscriberPort } from "./subscriber-port.ts";
import { EventSubscription } from "./subscription.ts";
import type { SubscriptionOwner } from "./subscription.ts";
import { SubscriptionIndex } from "./subscription-index.ts";
import type { TopicTemplate } from "./topic-template.ts";
import type { EventTaker, RemotePublisher, Track } from "./track.ts";
import { Tracker } from "./tracker.ts";
import type { TrackerOwner } from "./tracker.ts";
import { Waiting } from "./waiting.ts";
import type { Counts } from "./waiting.ts";

/** Somebody who waits until filters are in place. */
interface Waiter {
  /** Undefined: all that there are. */
  readonly subscription: EventSubscription | undefined;
  readonly version: number;
  readonly resolve: () => void;
  readonly reject: (error: RpcError) => void;
}

/** What a subscriber does between its users and its sockets: filters, readiness, and where each event goes. */
export class SubscriberCore implements TrackerOwner, SubscriberPortOwner, SubscriptionOwner {
  readonly bare: boolean;
  readonly maxTopics: number;
  readonly recover: boolean;
  readonly syncIntervalMs: number;
  readonly maxMessageBytes: number;
  readonly maxBufferedEvents: number;
  readonly settings: ZeromqSettings;
  readonly tracker: Tracker = new Tracker(this);
  readonly waiting: Waiting = new Waiting();
  readonly ports: readonly SubscriberPort[];
  readonly filters: FilterBook = new FilterBook();
  readonly #options: EventSubscriberOptions;
  readonly #troubles: EventTroubles;
  readonly #index = new SubscriptionIndex();
  readonly #waiters = new Set<Waiter>();
  #filterVersion = 0;
  #pruning: NodeJS.Immediate | undefined;

  constructor(options: EventSubscriberOptions, settings: ZeromqSettings, addresses: readonly ParsedAddress[]) {
    this.#options = options;
    this.settings = settings;
    this.bare = options.bare ?? false;
    this.maxTopics = options.maxTopics ?? 100_000;
    this.recover = options.recover ?? true;
    this.syncIntervalMs = options.syncIntervalMs ?? 10_000;
    this.maxMessageBytes = options.maxMessageBytes ?? 4 * 2 ** 20;
    this.maxBufferedEvents = options.maxBufferedEvents ?? 10_000;
    this.#troubles = new EventTroubles(options.onTrouble, settings);
    this.ports = addresses.map((parsed) => new SubscriberPort(this, parsed, options.attach ?? "connect"));
  }

  get counts(): Counts {
    return this.#troubles.counts;
  }

  get version(): number {
    return this.#filterVersion;
  }

  get takersVersion(): number {
    return this.#index.version;
  }

  get methods(): readonly string[] {
    return this.#index.methods;
  }

  get subscriptions(): ReadonlySet<EventSubscription> {
    return this.#index.all;
  }

  subscribe(
    template: TopicTemplate,
    filter: object | undefined,
    options: SubscribeOptions<unknown>,
  ): EventSubscription {
    checkOptions("subscribe option", options, subscribeChecks);
    const subscription = new EventSubscription(this, template, template.filter(filter), options);
    const added = this.filters.add(subscription);
    for (const port of this.ports) port.addFilter(added);
    this.#index.add(subscription);
    subscription.version = ++this.#filterVersion;
    for (const port of this.ports) port.added(subscription);
    if (options.signal?.aborted) void subscription.close();
    return subscription;
  }

  waitForReady(subscription: EventSubscription | undefined, timeoutMs: number): Promise<void> {
    const version = subscription?.version ?? this.#filterVersion;
    const { path } = subscription?.template ?? {};
    const what = path === undefined ? "publisher answered for all filters" : `publisher answered for ${path}`;
    return this.waiting.for(what, timeoutMs, (resolve, reject) => {
      const waiter: Waiter = { subscription, version, resolve, reject };
      if (subscription?.failure) reject(subscription.failure);
      else if (!this.#look(waiter)) this.#waiters.add(waiter);
      return () => void this.#waiters.delete(waiter);
    });
  }

  progress(): void {
    for (const waiter of this.#waiters) if (this.#look(waiter)) this.#waiters.delete(waiter);
  }

  refused(address: string, why: string | undefined): void {
    this.waiting.refuse(address, why);
  }

  /** A publisher does not allow a subscription. */
  denied(subscription: EventSubscription, error: RpcError): void {
    this.trouble("denied", () => error.message);
    for (const waiter of this.#waiters)
      if ((waiter.subscription ?? subscription) === subscription && waiter.version >= subscription.version)
        waiter.reject(error);
    // Others do not wait for it any more.
    this.progress();
  }

  /** Ends all subscriptions. Gracefully: what waits may be taken; resolves when handlers have done so. */
  async end(graceful: boolean): Promise<void> {
    clearImmediate(this.#pruning);
    const all = [...this.#index.all];
    if (graceful) await Promise.all(all.map((subscription) => subscription.end()));
    else for (const subscription of all) void subscription.close();
  }

  /** What handlers have not taken by now they do not get. */
  giveUp(): void {
    for (const subscription of [...this.#index.all]) subscription.giveUp();
  }

  ended(subscription: EventSubscription): void {
    if (!this.#index.remove(subscription)) return;
    const gone = this.filters.remove(subscription);
    for (const port of this.ports) {
      port.removeFilter(gone);
      port.removed(subscription);
    }
    this.#pruning ??= setImmediate(() => {
      this.#pruning = undefined;
      this.tracker.prune();
    });
  }

  takers(method: string, topic: string): readonly EventTaker[] {
    return this.#index.find(method, topic);
  }

  missed(gap: EventGap, takers: readonly EventTaker[]): void {
    this.gap(gap);
    for (const taker of takers) taker.miss(gap);
    for (const port of this.ports) port.lost();
  }

  gap(gap: EventGap): void {
    if (gap.reason === "buffer") this.counts.add("dropped", gap.count);
    try {
      this.#options.onGap?.(gap);
    } catch (error) {
      const { topic, method, epoch } = gap;
      this.failed(error, { topic, method, epoch, sequence: 0, address: "", replayed: false });
    }
  }

  count(what: string, amount: number): void {
    if (amount > 0) this.counts.add(what, amount);
  }

  wantRecovery(track: Track): void {
    if (this.ports.some((port) => port.recover(track))) return;
    setImmediate(() => this.tracker.recovered(track, []));
  }

  gone(publisher: RemotePublisher): void {
    if (!this.ports.some(({ publishers }) => publishers.has(publisher))) this.tracker.forget(publisher);
  }

  malformed(track: Track, error: unknown): void {
    this.trouble(
      "malformed",
      () => `an event on ${track.topic} is no ${track.method} and was dropped: ${String(error)}`,
    );
  }

  /** `[topic][body]`. */
  bareMessage(frames: readonly Buffer[], address: string): string | undefined {
    const [topic, body] = frames;
    if (!topic || !body || frames.length !== 2) return `has ${frames.length} frames, where [topic][body] is expected`;
    const text = topic.toString();
    for (const method of this.methods)
      if (this.#index.find(method, text).length > 0) this.tracker.unnumbered(method, topic, body, address);
    return undefined;
  }

  failed(error: unknown, { method, topic, sequence }: EventInfo): void {
    const { onError } = this.#options;
    try {
      if (onError) onError(error, { method, topic, sequence });
      // eslint-disable-next-line no-console -- nobody else would hear of it
      else console.error(`a handler of ${method} failed with event ${sequence} on ${topic}:`, error);
    } catch {
      // Whoever is told has nobody to tell.
    }
  }

  trouble(kind: string, describe: () => string): void {
    this.#troubles.report(kind, describe);
  }

  #look({ version, resolve }: Waiter): boolean {
    const isReady = this.#isReady(version);
    if (isReady) resolve();
    return isReady;
  }

  #isReady(version: number): boolean {
    const { attach = "connect", minPublishers = 1 } = this.#options;
    let publishers = 0;
    for (const port of this.ports) {
      const isReady = port.isReady(version);
      const nobody = attach === "bind" && minPublishers === 0 && port.publishers.size === 0;
      if (!isReady && !nobody && (attach === "connect" || port.publishers.size > 0)) return false;
      publishers += port.provenCount(version);
    }
    return publishers >= minPublishers;
  }
}

/** What is given as a handler must be one; TypeError says what is wrong with it. */
export function handlerFunctions(
  what: string,
  methods: ReadonlyMap<string, TopicTemplate>,
  handler: unknown,
): [TopicTemplate, NonNullable<SubscribeOptions<unknown>["onEvent"]>][] {
  if (typeof handler !== "object" || handler === null)
    throw new TypeError(`an event handler is an object, not ${kindOf(handler)}`);
  const known = [...methods.keys()].join(", ");
  const given = handler as Record<string, unknown>;
  for (const [name, value] of Object.entries(given))
    if (typeof value === "function" && !methods.has(name))
      throw new TypeError(`${what} has no event "${name}"; it has ${known}`);
  const wanted = [...methods].filter(([name]) => typeof given[name] === "function");
  if (wanted.length === 0) throw new TypeError(`the handler takes no event of ${what}, which has ${known}`);
  return wanted.map(([name, template]) => [
    template,
    (event, info) => (given as Record<string, (...args: unknown[]) => void | Promise<void>>)[name]!(event, info),
  ]);
}
