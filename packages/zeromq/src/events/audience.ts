import { PortAudience } from "./port-audience.ts";

/** Subscribers whose losses are remembered. */
const maxLosers = 65_536;

/** Whom somebody waits for. */
export interface AudienceWish {
  readonly count: number;
  readonly method: string | undefined;
  readonly topic: string | undefined;
}

interface Waiter extends AudienceWish {
  resolve(): void;
}

/** Who listens to a publisher, at all of its addresses. */
export class Audience {
  readonly epoch: bigint;
  readonly #ports: PortAudience[] = [];
  /** What each said to have missed, also of those that are gone and may come again; the oldest are forgotten. */
  readonly #losses = new Map<string, number>();
  readonly #waiters = new Set<Waiter>();

  constructor(epoch: bigint) {
    this.epoch = epoch;
  }

  /** Who listens at one more address. */
  addPort(): PortAudience {
    const port = new PortAudience(this);
    this.#ports.push(port);
    return port;
  }

  /** Connections of subscribers whose filters are in place. */
  get subscribers(): number {
    return this.#count({ count: 0, method: undefined, topic: undefined });
  }

  /** Subscriptions of all connections, sync topics aside. */
  get subscriptions(): number {
    let count = 0;
    for (const { subscriptions } of this.#ports) count += subscriptions;
    return count;
  }

  /** Calls back once as many are there; the function that it returns gives that up. */
  wait(wish: AudienceWish, resolve: () => void): () => void {
    const waiter = { ...wish, resolve };
    this.#waiters.add(waiter);
    this.changed();
    return () => void this.#waiters.delete(waiter);
  }

  clear(): void {
    for (const port of this.#ports) port.clear();
    this.#losses.clear();
    this.#waiters.clear();
  }

  lost(id: string, events: number): number {
    const before = this.#losses.get(id) ?? 0;
    this.#losses.delete(id);
    this.#losses.set(id, Math.max(events, before));
    const [oldest] = this.#losses.size > maxLosers ? this.#losses.keys() : [];
    if (oldest !== undefined) this.#losses.delete(oldest);
    return Math.max(events - before, 0);
  }

  changed(): void {
    for (const waiter of this.#waiters) {
      if (this.#count(waiter) < waiter.count) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  #count({ method, topic }: AudienceWish): number {
    let count = 0;
    for (const port of this.#ports) count += topic === undefined ? port.members(method) : port.listening(topic);
    return count;
  }
}
