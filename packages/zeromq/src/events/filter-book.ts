import { filterKey, guardedTopic } from "./event-wire.ts";
import type { EventSubscription } from "./subscription.ts";

/** What a publisher is asked for that decides who gets what. */
export interface GuardedFilter {
  readonly method: string;
  readonly topic: string;
  readonly exact: boolean;
  /** What begins with this comes of it. */
  readonly prefix: Buffer;
}

/** What a subscription brings along, or takes with it, that no other one has. */
export interface FilterChange {
  readonly prefix: Buffer | undefined;
  readonly guarded: GuardedFilter | undefined;
}

interface Counted<T> {
  readonly value: T;
  count: number;
}

/** The filters of all subscriptions of a subscriber, each once. */
export class FilterBook {
  readonly #prefixes = new Map<string, Counted<Buffer>>();
  readonly #guarded = new Map<string, Counted<GuardedFilter>>();

  /** For publishers that send to everybody. */
  get prefixes(): Buffer[] {
    return Array.from(this.#prefixes.values(), ({ value }) => value);
  }

  /** For publishers that decide who gets what. */
  get guarded(): GuardedFilter[] {
    return Array.from(this.#guarded.values(), ({ value }) => value);
  }

  add({ template: { path }, filter: { prefix, exact } }: EventSubscription): FilterChange {
    const guarded = (): GuardedFilter => {
      return { method: path, topic: prefix, exact, prefix: guardedTopic(path, prefix, exact) };
    };
    return {
      prefix: added(this.#prefixes, prefix, () => Buffer.from(prefix)),
      guarded: added(this.#guarded, filterKey(path, prefix, exact), guarded),
    };
  }

  remove({ template: { path }, filter: { prefix, exact } }: EventSubscription): FilterChange {
    return { prefix: removed(this.#prefixes, prefix), guarded: removed(this.#guarded, filterKey(path, prefix, exact)) };
  }
}

function added<T>(map: Map<string, Counted<T>>, key: string, make: () => T): T | undefined {
  const known = map.get(key);
  if (known) {
    known.count++;
    return undefined;
  }
  const value = make();
  map.set(key, { value, count: 1 });
  return value;
}

function removed<T>(map: Map<string, Counted<T>>, key: string): T | undefined {
  const known = map.get(key);
  if (!known || --known.count > 0) return undefined;
  map.delete(key);
  return known.value;
}
