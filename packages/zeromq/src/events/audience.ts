import type { SyncTopic } from "./event-wire.ts";

/** Subscribers, and different subscriptions of others, that are kept count of. */
const maxMembers = 65_536;
const maxTopics = 262_144;

/** The connection of a subscriber that says who it is. */
interface Member {
  /** The sync topic that stands for it now. */
  number: number;
  /** Its filters are in place. */
  proven: boolean;
  methods: ReadonlySet<string>;
}

/** Whom somebody waits for. */
export interface AudienceWish {
  readonly count: number;
  readonly method: string | undefined;
  readonly topic: string | undefined;
}

interface Waiter extends AudienceWish {
  resolve(): void;
}

/**
 * Who listens to a publisher: subscribers that say who they are, by their sync topics, and subscriptions of whomever, by
 * what they begin with.
 */
export class Audience {
  readonly #epoch: bigint;
  readonly #members = new Map<string, Member>();
  /** What each said to have missed, also of those that are gone and may come again; the oldest are forgotten. */
  readonly #losses = new Map<string, number>();
  /** How many connections subscribe to what begins with a text (latin1 of its bytes). */
  readonly #prefixes = new Map<string, number>();
  readonly #waiters = new Set<Waiter>();
  #subscriptions = 0;

  constructor(epoch: bigint) {
    this.#epoch = epoch;
  }

  /** Connections of subscribers whose filters are in place. */
  get subscribers(): number {
    return this.#count({ count: 0, method: undefined, topic: undefined });
  }

  /** Subscriptions of all connections, sync topics aside. */
  get subscriptions(): number {
    return this.#subscriptions;
  }

  /** A sync topic was subscribed. Returns how many events more it has missed since it was last heard of. */
  synced({ id, number, request }: SyncTopic): number {
    let member = this.#members.get(id);
    if (!member) {
      if (this.#members.size >= maxMembers) return 0;
      member = { number, proven: false, methods: new Set() };
      this.#members.set(id, member);
    }
    // Older ones come again when a connection is made anew.
    if (number < member.number) return 0;
    member.number = number;
    member.methods = new Set(request.methods);
    member.proven = request.proven.includes(this.#epoch);
    const lost = Number(request.losses.find(({ epoch }) => epoch === this.#epoch)?.events ?? 0n);
    this.#wake();
    return lost > 0 ? this.#newlyLost(id, lost) : 0;
  }

  /** A sync topic was unsubscribed: if it was the current one, its subscriber is gone. */
  unsynced(id: string, number: number): void {
    if (this.#members.get(id)?.number === number) this.#members.delete(id);
  }

  subscribed(prefix: string): void {
    this.#subscriptions++;
    const count = this.#prefixes.get(prefix);
    if (count === undefined && this.#prefixes.size >= maxTopics) return;
    this.#prefixes.set(prefix, (count ?? 0) + 1);
    this.#wake();
  }

  unsubscribed(prefix: string): void {
    this.#subscriptions = Math.max(this.#subscriptions - 1, 0);
    const count = this.#prefixes.get(prefix) ?? 0;
    if (count > 1) this.#prefixes.set(prefix, count - 1);
    else this.#prefixes.delete(prefix);
  }

  /** Calls back once as many are there; the function that it returns gives that up. */
  wait(wish: AudienceWish, resolve: () => void): () => void {
    const waiter = { ...wish, resolve };
    this.#waiters.add(waiter);
    this.#wake();
    return () => void this.#waiters.delete(waiter);
  }

  clear(): void {
    this.#members.clear();
    this.#losses.clear();
    this.#prefixes.clear();
    this.#subscriptions = 0;
    this.#waiters.clear();
  }

  #newlyLost(id: string, lost: number): number {
    const before = this.#losses.get(id) ?? 0;
    this.#losses.delete(id);
    this.#losses.set(id, Math.max(lost, before));
    const [oldest] = this.#losses.size > maxMembers ? this.#losses.keys() : [];
    if (oldest !== undefined) this.#losses.delete(oldest);
    return Math.max(lost - before, 0);
  }

  #wake(): void {
    for (const waiter of this.#waiters) {
      if (this.#count(waiter) < waiter.count) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }

  #count({ method, topic }: AudienceWish): number {
    if (topic !== undefined) return this.#listening(topic);
    let count = 0;
    for (const member of this.#members.values())
      if (member.proven && (method === undefined || member.methods.has(method))) count++;
    return count;
  }

  /** Subscriptions that let a topic through. */
  #listening(topic: string): number {
    const bytes = Buffer.from(topic).toString("latin1");
    let count = 0;
    for (let length = 0; length <= bytes.length; length++) count += this.#prefixes.get(bytes.slice(0, length)) ?? 0;
    return count;
  }
}
