/** Stands for all texts that begin with `text`, in the filter of events. Made by `startsWith`. */
export class Prefix {
  readonly text: string;

  constructor(text: string) {
    if (typeof text !== "string") throw new TypeError(`a prefix is a string, not ${typeof text}`);
    this.text = text;
  }
}

/** All texts that begin with `text`, for the filter of events: `{ symbol: startsWith("AC") }`. */
export function startsWith(text: string): Prefix {
  return new Prefix(text);
}

/**
 * Which events a subscriber wants, by the fields `K` of the message `T` that stand in the topic. A field may be given
 * as its exact value, or, where it is a string, as what it begins with (`startsWith`); one that is left out may have
 * any value. Left out altogether, the filter lets all events of the method through.
 */
export type EventFilter<T, K extends keyof T> = [K] extends [never]
  ? Readonly<Record<string, never>>
  : { readonly [Field in K]?: FilterValue<NonNullable<T[Field]>> | undefined };

type FilterValue<V> = V extends string ? V | Prefix : V;

/** What is known of an event beside its message. */
export interface EventInfo {
  /** The topic it was published on, with the fields filled in: `price.ACME`. */
  readonly topic: string;
  /** Its place among all events of its publisher's epoch; the next one has the next number. */
  readonly sequence: bigint;
  /** One life of a publisher: another one begins when the publisher is started again. */
  readonly epoch: string;
  /** The address that the event came from. */
  readonly publisher: string;
  /** The method: `shop.v1.Prices/PriceChanged`. */
  readonly method: string;
  /** When it was published, by the clock of the publisher, if it said so. */
  readonly publishedAt?: Date;
  /** Whether it was published before the subscription, and kept for those who come later. */
  readonly replayed: boolean;
}

/** Which of the events that a publisher has kept a new subscription begins with. */
export type Replay = "none" | "last" | "all" | { readonly last: number };

/** What a subscription to events of the message `T` is told. */
export interface SubscribeOptions<T> {
  /** Takes the events, one after the other, in place of the iteration. What it throws goes to the subscriber's `onError`. */
  readonly onEvent?: ((event: T, info: EventInfo) => void | Promise<void>) | undefined;
  /** Default `none`: what is published from now on. */
  readonly replay?: Replay | undefined;
  /** Ends the subscription when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** How many events may wait to be taken; beyond it events of this subscription are lost, counted and told. */
  readonly maxBufferedEvents?: number | undefined;
}

/** An event with what is known of it. */
export interface EventEntry<T> {
  readonly event: T;
  readonly info: EventInfo;
}

/** What a subscription has seen so far. */
export interface SubscriptionCounts {
  /** Events that came for it. */
  readonly received: number;
  /** Events that it knows it has missed, whoever lost them. */
  readonly lost: number;
}

/**
 * Events of one method, from the moment on that it is made until it is left or closed. Iterating takes the events in
 * the order in which each publisher sent them; leaving the loop, disposing it and `close()` are the same: it ends, and
 * what waits in it is dropped. It can be iterated once.
 */
export interface Subscription<T> extends AsyncIterable<T>, AsyncDisposable {
  /** Settled when every publisher that is connected has taken the subscription in: nothing it then publishes is missed. */
  readonly ready: Promise<void>;
  readonly counts: SubscriptionCounts;
  /** The events with what is known of them, in place of the plain iteration. */
  entries(): AsyncIterable<EventEntry<T>>;
  /** Ends it. May be called again. */
  close(): Promise<void>;
}
