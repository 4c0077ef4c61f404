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

/** What all ports of a publisher tell, put together. */
interface PortAudienceOwner {
  readonly epoch: bigint;
  /** Somebody came, or is known better. */
  changed(): void;
  /** Tells how many events more a subscriber has missed, which it says to be so many. */
  lost(id: string, events: number): number;
}

/**
 * Who listens at one address: subscribers that say who they are, by their sync topics, and subscriptions of whomever, by
 * what they begin with.
 */
export class PortAudience {
  readonly #owner: PortAudienceOwner;
  readonly #members = new Map<string, Member>();
  /** How many connections subscribe to what begins with a text (latin1 of its bytes). */
  readonly #prefixes = new Map<string, number>();
  #subscriptions = 0;

  constructor(owner: PortAudienceOwner) {
    this.#owner = owner;
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
    const { epoch } = this.#owner;
    member.number = number;
    member.methods = new Set(request.methods);
    member.proven = request.proven.includes(epoch);
    const lost = Number(request.losses.find((loss) => loss.epoch === epoch)?.events ?? 0n);
    this.#owner.changed();
    return lost > 0 ? this.#owner.lost(id, lost) : 0;
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
    this.#owner.changed();
  }

  unsubscribed(prefix: string): void {
    this.#subscriptions = Math.max(this.#subscriptions - 1, 0);
    const count = this.#prefixes.get(prefix) ?? 0;
    if (count > 1) this.#prefixes.set(prefix, count - 1);
    else this.#prefixes.delete(prefix);
  }

  /** All connections are gone. */
  clear(): void {
    this.#members.clear();
    this.#prefixes.clear();
    this.#subscriptions = 0;
  }

  /** Subscribers whose filters are in place, of those that want a method. */
  members(method: string | undefined): number {
    let count = 0;
    for (const member of this.#members.values())
      if (member.proven && (method === undefined || member.methods.has(method))) count++;
    return count;
  }

  /** Subscriptions that let a topic through. */
  listening(topic: string): number {
    const bytes = Buffer.from(topic).toString("latin1");
    let count = 0;
    for (let length = 0; length <= bytes.length; length++) count += this.#prefixes.get(bytes.slice(0, length)) ?? 0;
    return count;
  }
}
