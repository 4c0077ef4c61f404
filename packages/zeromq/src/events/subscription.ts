import type {
  EventEntry,
  EventGap,
  EventInfo,
  RpcError,
  SubscribeOptions,
  Subscription,
  SubscriptionCounts,
} from "@zerobind/core";
import { EventQueue } from "./event-queue.ts";
import type { QueuedEvent } from "./event-queue.ts";
import { ReplayMerge } from "./replay-merge.ts";
import type { EventRun, EventTaker, RemotePublisher, Track } from "./track.ts";
import type { TopicFilter, TopicTemplate } from "./topic-template.ts";

/** What a subscription needs of its subscriber. */
export interface SubscriptionOwner {
  readonly maxBufferedEvents: number;
  /** It has ended: nothing is to come for it any more. */
  ended(subscription: EventSubscription): void;
  /** A handler threw. */
  failed(error: unknown, info: EventInfo): void;
  gap(gap: EventGap): void;
  /** A publisher does not allow it. */
  denied(subscription: EventSubscription, error: RpcError): void;
  /** The body of an event cannot be read. */
  malformed(track: Track, error: unknown): void;
  waitForReady(subscription: EventSubscription, timeoutMs: number): Promise<void>;
}

interface Taker {
  readonly resolve: (result: IteratorResult<QueuedEvent, undefined>) => void;
  readonly reject: (error: RpcError) => void;
}
const over: IteratorResult<never, undefined> = { done: true, value: undefined };

/** The events of one method that a filter lets through, from their arrival until they are taken. */
export class EventSubscription implements Subscription<unknown>, EventTaker {
  readonly template: TopicTemplate;
  readonly filter: TopicFilter;
  /** How many of the kept events of each topic it begins with. */
  readonly replay: number;
  /** The filters of its subscriber with this one among them. */
  version = 0;
  /** Publishers that said where the topics of its filter are, and sent what they had kept. */
  readonly done: Set<RemotePublisher> = new Set<RemotePublisher>();
  readonly #owner: SubscriptionOwner;
  readonly #options: SubscribeOptions<unknown>;
  readonly #queue: EventQueue;
  readonly #merge: ReplayMerge | undefined;
  readonly #counts = { received: 0, lost: 0, dropped: 0, replayed: 0 };
  readonly #abort = (): void => void this.close();
  /** Whoever waits for an event; while somebody does, only gaps are in the queue. */
  readonly #takers: Taker[] = [];
  /** Why it was ended; told once to whoever iterates. */
  #failure: RpcError | undefined;
  #isFailureTold = false;
  #iterated = false;
  /** No more is to come; what waits may still be taken. */
  #ending = false;
  #closed = false;
  /** A handler has an event, or several that wait. */
  #isRunning = false;
  /** Told when the handler has had all. */
  readonly #idle: (() => void)[] = [];

  constructor(
    owner: SubscriptionOwner,
    template: TopicTemplate,
    filter: TopicFilter,
    options: SubscribeOptions<unknown>,
  ) {
    const { replay = "none", maxBufferedEvents = owner.maxBufferedEvents, signal } = options;
    this.#owner = owner;
    this.template = template;
    this.filter = filter;
    this.#options = options;
    this.replay = replay === "none" ? 0 : replay === "last" ? 1 : replay === "all" ? 0xffffffff : replay.last;
    this.#queue = new EventQueue(maxBufferedEvents, (gap) => this.#tellGap(gap));
    if (this.replay > 0) this.#merge = new ReplayMerge(maxBufferedEvents, (...event) => this.#accept(...event));
    signal?.addEventListener("abort", this.#abort, { once: true });
  }

  get ready(): Promise<void> {
    return this.waitForReady(Infinity);
  }

  /** Why it was ended, if a publisher does not allow it. */
  get failure(): RpcError | undefined {
    return this.#failure;
  }

  get counts(): SubscriptionCounts {
    return { ...this.#counts };
  }

  waitForReady(timeoutMs: number): Promise<void> {
    return this.#owner.waitForReady(this, timeoutMs);
  }

  /** Whether events on a topic may be for it. */
  admits(topic: string): boolean {
    const { exact, prefix } = this.filter;
    return exact ? topic === prefix : topic.startsWith(prefix);
  }

  /** An event on a topic that it admits. */
  receive(track: Track, sequence: number, body: Buffer, replayed: boolean, address: string): void {
    if (this.#merge && !this.done.has(track.publisher)) this.#merge.hold(track, sequence, body, address);
    else this.#accept(track, sequence, body, replayed, address);
  }

  /** A publisher has told where its topics are; `events` is what it had kept. */
  merge(publisher: RemotePublisher, events: readonly EventRun[]): void {
    if (this.done.has(publisher)) return;
    this.done.add(publisher);
    this.#merge?.merge(publisher, events);
  }

  /** Publishers that do not answer must not hold back what they send. */
  release(beforeMs: number): void {
    for (const publisher of this.#merge?.overdue(beforeMs) ?? []) this.merge(publisher, []);
  }

  /** Events that it will not get. */
  miss(gap: EventGap): void {
    if (this.#closed) return;
    this.#counts.lost += gap.count ?? 0;
    if (this.#options.onGap) this.#push(gap);
  }

  /** No more will come; what waits is still taken. Resolves when a handler has taken it all. */
  async end(): Promise<void> {
    this.#ending = true;
    this.#options.signal?.removeEventListener("abort", this.#abort);
    if (this.#takers.length > 0) this.#queue.take();
    this.#settleTakers();
    if (this.#isRunning) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** A publisher does not allow it: it ends, with this error after what waits. */
  fail(error: RpcError): void {
    if (this.#closed || this.#ending) return;
    this.#failure = error;
    this.#ending = true;
    this.#options.signal?.removeEventListener("abort", this.#abort);
    const [first] = this.#takers.splice(0, 1);
    if (first) {
      this.#isFailureTold = true;
      this.#queue.take();
      first.reject(error);
    }
    this.#settleTakers();
    const { path, prefix } = { path: this.template.path, prefix: this.filter.prefix };
    if (this.#options.onEvent)
      this.#owner.failed(error, { topic: prefix, method: path, epoch: "", sequence: 0, address: "", replayed: false });
    this.#owner.ended(this);
    this.#owner.denied(this, error);
  }

  /** There is no more time for a handler to take what waits. */
  giveUp(): void {
    if (this.#isRunning) void this.close();
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#options.signal?.removeEventListener("abort", this.#abort);
    this.#queue.clear();
    this.#settleTakers();
    this.#tellIdle();
    this.#owner.ended(this);
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown, undefined> {
    return this.#iterate(({ event }) => event);
  }

  entries(): AsyncIterable<EventEntry<unknown>> {
    return { [Symbol.asyncIterator]: () => this.#iterate((queued) => ({ event: queued.event, info: infoOf(queued) })) };
  }

  #iterate<V>(view: (queued: QueuedEvent) => V): AsyncIterator<V, undefined> {
    const { path } = this.template;
    if (this.#options.onEvent) throw new Error(`the events of ${path} go to onEvent; they cannot be iterated too`);
    if (this.#iterated) throw new Error(`this subscription to ${path} is iterated already; make another one`);
    this.#iterated = true;
    return {
      next: async () => {
        const result = await this.#next();
        return result.done === true ? over : { done: false, value: view(result.value) };
      },
      return: async () => {
        await this.close();
        return over;
      },
    };
  }

  #next(): Promise<IteratorResult<QueuedEvent, undefined>> {
    const value = this.#queue.take();
    if (value) return Promise.resolve({ done: false, value });
    if (this.#failure && !this.#isFailureTold && !this.#closed) {
      this.#isFailureTold = true;
      return Promise.reject(this.#failure);
    }
    if (this.#closed || this.#ending) return Promise.resolve(over);
    return new Promise((resolve, reject) => this.#takers.push({ resolve, reject }));
  }

  #settleTakers(): void {
    for (const { resolve } of this.#takers.splice(0)) resolve(over);
  }

  #accept(track: Track, sequence: number, body: Buffer, replayed: boolean, address: string): void {
    if (this.#closed || this.#ending) return;
    let event: unknown;
    try {
      event = this.template.type.decode(body);
    } catch (error) {
      return this.#owner.malformed(track, error);
    }
    if (!this.filter.settled && !this.filter.matches(event)) return;
    this.#counts.received++;
    if (replayed) this.#counts.replayed++;
    this.#take({ event, track, sequence, replayed, address });
  }

  #take(queued: QueuedEvent): void {
    this.#push(queued);
    if (this.#options.onEvent) {
      if (!this.#isRunning) this.#run();
      return;
    }
    if (this.#takers.length === 0) return;
    const value = this.#queue.take();
    if (value) this.#takers.shift()?.resolve({ done: false, value });
  }

  #push(item: QueuedEvent | EventGap): void {
    const dropped = this.#queue.push(item);
    this.#counts.dropped += dropped;
    this.#counts.lost += dropped;
  }

  /** Hands events to the handler until none is there, or it has to be waited for. */
  #run(): void {
    this.#isRunning = true;
    for (let next = this.#queue.take(); next; next = this.#queue.take()) {
      const running = this.#handle(next);
      // No promise waits for all that follow: of a handler that never catches up they would never end.
      if (running) return void running.then(() => this.#run());
    }
    this.#isRunning = false;
    this.#tellIdle();
  }

  #tellIdle(): void {
    for (const tell of this.#idle.splice(0)) tell();
  }

  #handle(queued: QueuedEvent): Promise<void> | undefined {
    const info = infoOf(queued);
    try {
      const result = this.#options.onEvent?.(queued.event, info);
      if (typeof result?.then !== "function") return undefined;
      return Promise.resolve(result).catch((error: unknown) => this.#owner.failed(error, info));
    } catch (error) {
      this.#owner.failed(error, info);
      return undefined;
    }
  }

  #tellGap(gap: EventGap): void {
    if (gap.reason === "buffer") this.#owner.gap(gap);
    try {
      this.#options.onGap?.(gap);
    } catch (error) {
      const { topic, method, epoch } = gap;
      this.#owner.failed(error, { topic, method, epoch, sequence: 0, address: "", replayed: false });
    }
  }
}

function infoOf({ track, sequence, replayed, address }: QueuedEvent): EventInfo {
  const { topic, method, publisher } = track;
  return { topic, method, sequence, epoch: publisher.name, address, replayed };
}
