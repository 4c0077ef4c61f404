import type { EventGap } from "@zerobind/core";
import { EventPublisher, EventSubscriber } from "../src/index.ts";
import type { EventPublisherOptions, EventSubscriberOptions } from "../src/index.ts";
import { Prices } from "../../core/test/gen/test/v1/patterns.rpc.ts";
import type { PriceChange } from "../../core/test/gen/test/v1/patterns.pb.ts";
import { track } from "./support.ts";

export { Prices };
export type { PriceChange };

let lastName = 0;

/** An address that can be bound and connected to, of each kind. */
export const kinds = ["tcp", "ipc", "inproc"] as const;
export type Kind = (typeof kinds)[number];

export function anyAddress(kind: Kind): string {
  if (kind === "tcp") return "tcp://127.0.0.1:*";
  return kind === "ipc" ? "ipc://*" : `inproc://events-${process.pid}-${++lastName}`;
}

/** Short times, so that what is tested does not take long. */
const quick = { reconnectMinMs: 20, reconnectMaxMs: 100 };

export function publisherAt(address: string | readonly string[], options: EventPublisherOptions = {}): EventPublisher {
  return track(new EventPublisher(address, { zeromq: quick, ...options }));
}

/** A subscriber with the gaps and troubles that it was told of. */
export class Inbox extends EventSubscriber {
  readonly gaps: EventGap[];
  readonly troubles: string[];
  readonly errors: unknown[];

  constructor(address: string | readonly string[], options: EventSubscriberOptions = {}) {
    const [gaps, troubles, errors]: [EventGap[], string[], unknown[]] = [[], [], []];
    super(address, {
      zeromq: quick,
      onGap: (gap) => gaps.push(gap),
      onTrouble: (problem) => troubles.push(problem),
      onError: (error) => errors.push(error),
      ...options,
    });
    this.gaps = gaps;
    this.troubles = troubles;
    this.errors = errors;
  }
}

export function inboxAt(address: string | readonly string[], options: EventSubscriberOptions = {}): Inbox {
  return track(new Inbox(address, options));
}

/** Takes so many events; all that come until then. */
export async function take<T>(events: AsyncIterable<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  if (count === 0) return taken;
  for await (const event of keepOpen(events)) if (taken.push(event) === count) return taken;
  throw new Error(`it ended after ${taken.length} of ${count} events`);
}

const iterators = new WeakMap<object, AsyncIterator<unknown>>();

/** Leaving a loop ends a subscription; a test may want to go on. */
function keepOpen<T>(events: AsyncIterable<T>): AsyncIterable<T> {
  const iterator = (iterators.get(events) ?? events[Symbol.asyncIterator]()) as AsyncIterator<T>;
  iterators.set(events, iterator);
  return { [Symbol.asyncIterator]: () => ({ next: () => iterator.next() }) };
}

/** The numbers that events carry. */
export function numbersOf(events: readonly PriceChange[]): number[] {
  return events.map(({ number }) => Number(number));
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** Waits until something holds that no event tells of. */
export async function until(holds: () => boolean, limitMs = 5_000): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`it does not hold after ${limitMs} ms: ${holds.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
