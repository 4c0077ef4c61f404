import type { EventSubscription } from "./subscription.ts";

/** The subscriptions of a subscriber, found by method and topic. */
export class SubscriptionIndex {
  /** Changes with every subscription that comes or goes. */
  version = 0;
  readonly #all = new Set<EventSubscription>();
  /** Those to one topic, by method and topic. */
  readonly #exact = new Map<string, Set<EventSubscription>>();
  /** The others, by method. */
  readonly #wide = new Map<string, Set<EventSubscription>>();
  readonly #methods = new Map<string, number>();

  get all(): ReadonlySet<EventSubscription> {
    return this.#all;
  }

  /** Methods that there are subscriptions to. */
  get methods(): string[] {
    return [...this.#methods.keys()];
  }

  add(subscription: EventSubscription): void {
    const [map, key] = this.#place(subscription);
    this.#all.add(subscription);
    let among = map.get(key);
    if (!among) map.set(key, (among = new Set()));
    among.add(subscription);
    const { path } = subscription.template;
    this.#methods.set(path, (this.#methods.get(path) ?? 0) + 1);
    this.version++;
  }

  /** False: it was not there. */
  remove(subscription: EventSubscription): boolean {
    if (!this.#all.delete(subscription)) return false;
    const [map, key] = this.#place(subscription);
    const among = map.get(key);
    among?.delete(subscription);
    if (among?.size === 0) map.delete(key);
    const { path } = subscription.template;
    const count = (this.#methods.get(path) ?? 0) - 1;
    if (count > 0) this.#methods.set(path, count);
    else this.#methods.delete(path);
    this.version++;
    return true;
  }

  find(method: string, topic: string): EventSubscription[] {
    const found = [...(this.#exact.get(exactKey(method, topic)) ?? [])];
    for (const subscription of this.#wide.get(method) ?? []) if (subscription.admits(topic)) found.push(subscription);
    return found;
  }

  #place({ filter, template }: EventSubscription): [Map<string, Set<EventSubscription>>, string] {
    return filter.exact ? [this.#exact, exactKey(template.path, filter.prefix)] : [this.#wide, template.path];
  }
}

function exactKey(method: string, topic: string): string {
  return `${method}\n${topic}`;
}
