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
  /** The method: `shop.v1.Prices/PriceChanged`. */
  readonly method: string;
  /**
   * Its number, from 1, among the events of its method and topic in this life of the publisher; the next one has the
   * next number. 0 for events of a bare PUB.
   */
  readonly sequence: number;
  /** One life of a publisher: another one begins when the publisher is started again. Empty for a bare PUB. */
  readonly epoch: string;
  /** The address that the event came by. */
  readonly address: string;
  /** Whether the publisher had kept it: it was published before the subscription, or was missed at first. */
  readonly replayed: boolean;
}

/** Events that were missed. It is told once, before the next event of its topic. */
export interface EventGap {
  readonly topic: string;
  readonly method: string;
  /** The life of the publisher that goes on after the gap. */
  readonly epoch: string;
  /** The numbers of the first and of the last missed event; of those of reason `restarted`, nobody knows them: 0. */
  readonly from: number;
  readonly to: number;
  /** How many are missing, filters by other means than the topic left aside; undefined: nobody knows. */
  readonly count: number | undefined;
  /**
   * `missed`: they did not arrive, since the connection was lost or this end did not keep up. `restarted`: the
   * publisher was started again, or had forgotten the topic; there may be nothing missing. `buffer`: they arrived, and
   * were dropped because `maxBufferedEvents` of the subscription waited to be taken.
   */
  readonly reason: "missed" | "restarted" | "buffer";
}

/** Which of the events that a publisher has kept a new subscription begins with, for each topic. */
export type Replay = "none" | "last" | "all" | { readonly last: number };

/** How a subscription to events of the message `T` behaves. */
export interface SubscribeOptions<T> {
  /**
   * Takes the events, one after the other, in place of the iteration; while a promise of it is pending, the next ones
   * wait. What it throws goes to the subscriber's `onError`, and the next event goes on.
   */
  readonly onEvent?: ((event: T, info: EventInfo) => void | Promise<void>) | undefined;
  /** Told of each gap in its place, before the next event is taken. The subscriber's own `onGap` is told at once. */
  readonly onGap?: ((gap: EventGap) => void) | undefined;
  /** Default `none`: what is published from now on. Events are kept if the options of the publisher say so. */
  readonly replay?: Replay | undefined;
  /** Ends the subscription when it aborts. */
  readonly signal?: AbortSignal | undefined;
  /**
   * How many events may wait to be taken; beyond it the oldest are dropped, counted, and told as a gap. Default: the
   * subscriber's, 10,000.
   */
  readonly maxBufferedEvents?: number | undefined;
}

/** An event with what is known of it. */
export interface EventEntry<T> {
  readonly event: T;
  readonly info: EventInfo;
}

/** What a subscription has seen so far. */
export interface SubscriptionCounts {
  /** Events that came for it, replayed ones included. */
  readonly received: number;
  /** Events that it knows it has missed, whoever lost them. Those of an unknown number are not in it. */
  readonly lost: number;
  /** Of those lost, the ones that were dropped since nobody took them in time. */
  readonly dropped: number;
  /** Of those received, the ones that the publisher had kept. */
  readonly replayed: number;
}

/**
 * Events of one method, from the moment on that it is made until it is left or closed. Iterating takes the events in
 * the order in which each publisher sent them, per topic; leaving the loop, disposing it and `close()` are the same: it
 * ends, and what waits in it is dropped. It can be iterated once. Each subscription has messages of its own. One that a
 * publisher does not allow ends, and the iteration throws RpcError, after what waits is taken; with `onEvent`, the
 * subscriber's `onError` is told.
 */
export interface Subscription<T> extends AsyncIterable<T>, AsyncDisposable {
  /**
   * Resolves when every address that is connected has taken the subscription in: nothing published after that is
   * missed. Rejects when it, or its subscriber, is closed; with UNAUTHENTICATED or PERMISSION_DENIED when the other end
   * does not let the subscriber in, or does not allow this. See `waitForReady` for one that gives up.
   */
  readonly ready: Promise<void>;
  readonly counts: SubscriptionCounts;
  /** As `ready`, and rejects when it takes longer. */
  waitForReady(timeoutMs: number): Promise<void>;
  /** The events with what is known of them, in place of the plain iteration. */
  entries(): AsyncIterable<EventEntry<T>>;
  /** Ends it. May be called again. */
  close(): Promise<void>;
}
