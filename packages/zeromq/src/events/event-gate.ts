import { Status } from "@zerobind/core";
import type { EventWish, Principal } from "@zerobind/core";
import { sealKey } from "../curve/seal.ts";
import type { CurveServer } from "../curve/server-curve.ts";
import { escapeBytes } from "../trouble.ts";
import { BareFilters } from "./bare-filters.ts";
import type { Asker, EventRules, Refusal } from "./event-rules.ts";
import { filterKey, guardedTopic } from "./event-wire.ts";
import type { SyncTopic } from "./event-wire.ts";
import type { PortAudience } from "./port-audience.ts";

/** Connections that filters are granted to. */
const maxConnections = 65_536;
/** Filters of all connections that are granted at once. */
const maxGrants = 1_000_000;
const tooMany: Refusal = { status: Status.RESOURCE_EXHAUSTED, message: "the publisher has granted too much already" };
const unsealed: Refusal = {
  status: Status.UNAUTHENTICATED,
  message: "the seal of the sync is not one of a key that has come in here",
};
const denied: Refusal = {
  status: Status.PERMISSION_DENIED,
  message: "the subscriber has no filter that covers the topic, or the wish has no method or topic",
};
const controlCharacter = /[\u0000-\u001f\u007f-\u009f]/;

/** Filters of one connection that are granted. */
interface Grants {
  /** Its sync topics that are subscribed now. */
  syncs: number;
  readonly exact: Set<string>;
  readonly wide: Set<string>;
  /** Of how many in `wide` have so many characters. */
  readonly lengths: Map<number, number>;
  /** Of how many are for a method. */
  readonly methods: Map<string, number>;
}

/** What a gate needs of its port. */
export interface GateOwner {
  readonly rules: EventRules;
  readonly audience: PortAudience;
  readonly curve: CurveServer | undefined;
  /** Whoever does not prove to be somebody else. */
  readonly principal: Principal | undefined;
  /** Lets whoever has sent the message that is being handled get what begins with a prefix, or not any more. */
  deliver(prefix: Uint8Array, isOn: boolean): void;
  /** Whether nothing more has come. */
  isDrained(): boolean;
  trouble(kind: string, describe: () => string): void;
}

/**
 * Decides, at one address, what of the events a connection gets. ZeroMQ hands subscriptions over without carrying them
 * out, and lets them be carried out for the connection from which the last one has come. So there has to be a decision
 * at once: where a rule takes its time, the subscriber asks again.
 *
 * After a message that is no subscription, ZeroMQ takes one connection for another, until all that has come is read. A
 * peer that means harm can send such. Until then nothing is granted, and subscribers ask again.
 */
export class EventGate {
  readonly #owner: GateOwner;
  /** By key and connection. */
  readonly #granted = new Map<string, Grants>();
  readonly #bare: BareFilters;
  #count = 0;
  #isConfused = false;

  constructor(owner: GateOwner) {
    this.#owner = owner;
    this.#bare = new BareFilters((kind, describe) => owner.trouble(kind, describe));
  }

  /** A message has come that is no subscription. */
  confuse(): void {
    this.#isConfused = true;
  }

  /** A message has been handled. */
  handled(): void {
    if (this.#isConfused && this.#owner.isDrained()) this.#isConfused = false;
  }

  /** Something was subscribed, or is not any more, without any sync: that brings nothing. */
  plain(isSubscribed: boolean, topic: Buffer): void {
    if (isSubscribed) this.#bare.subscribed(topic.toString());
    else this.#bare.settled(topic.toString());
  }

  /** A sync topic was subscribed. What is refused, by the index of the wish; undefined: it is not to be answered. */
  sync({ topic, id, request }: SyncTopic): ReadonlyMap<number, Refusal> | undefined {
    const { curve, principal } = this.#owner;
    const key = sealKey(topic) ?? "";
    const sealer = key === "" ? undefined : curve?.openSeal(topic);
    const isKnown = key === "" || sealer !== undefined;
    const grants = isKnown ? this.#grants(key, id) : undefined;
    if (grants) grants.syncs += 1;
    if (this.#isConfused) return undefined;
    this.#owner.deliver(topic, true);
    const refusals = new Map<number, Refusal>();
    const asker = { key, principal: sealer?.principal ?? principal };
    for (const [index, wish] of request.wishes.entries()) {
      if (!wish.end) this.#bare.settled(wish.topic);
      const refusal = grants ? this.#decide(asker, grants, wish) : isKnown ? tooMany : unsealed;
      if (!refusal) continue;
      refusals.set(index, refusal);
      if (refusal.status !== Status.UNAVAILABLE) this.#tell(asker, refusal);
    }
    return refusals;
  }

  /** A sync topic is not subscribed any more. */
  unsynced(topic: Buffer, id: string): void {
    if (!this.#isConfused) this.#owner.deliver(topic, false);
    const name = nameOf(sealKey(topic) ?? "", id);
    const grants = this.#granted.get(name);
    if (!grants || --grants.syncs > 0) return;
    this.#granted.delete(name);
    for (const filter of [...grants.exact, ...grants.wide]) this.#uncount(filter);
  }

  /** Of the methods that a subscriber wants events of, those that it gets some of. */
  methodsOf({ topic, id, request }: SyncTopic): string[] {
    const grants = this.#granted.get(nameOf(sealKey(topic) ?? "", id));
    return request.methods.filter((method) => grants?.methods.has(method));
  }

  /** All connections are gone. */
  clear(): void {
    this.#granted.clear();
    this.#bare.clear();
    this.#count = 0;
    this.#isConfused = false;
  }

  #decide(asker: Asker, grants: Grants, wish: EventWish): Refusal | undefined {
    const { method, topic, exact, start, end } = wish;
    if (controlCharacter.test(method) || controlCharacter.test(topic)) return denied;
    const name = filterKey(method, topic, exact);
    if (end) {
      this.#end(grants, wish, name);
      return undefined;
    }
    if (start !== 0n) return covers(grants, name) ? undefined : denied;
    const among = exact ? grants.exact : grants.wide;
    if (!among.has(name) && this.#count >= maxGrants) return tooMany;
    const refusal = this.#owner.rules.decide(asker, wish);
    // It may have been granted before.
    if (refusal && refusal.status !== Status.UNAVAILABLE) this.#end(grants, wish, name);
    if (refusal) return refusal;
    // Also if it is granted already: it may be a connection that was made anew.
    this.#owner.deliver(guardedTopic(method, topic, exact), true);
    if (among.has(name)) return undefined;
    among.add(name);
    if (!exact) add(grants.lengths, name.length, 1);
    add(grants.methods, method, 1);
    this.#count += 1;
    this.#owner.audience.subscribed(latin1(topic));
    return undefined;
  }

  #end(grants: Grants, { method, topic, exact }: EventWish, name: string): void {
    this.#owner.deliver(guardedTopic(method, topic, exact), false);
    if (!(exact ? grants.exact : grants.wide).delete(name)) return;
    if (!exact) add(grants.lengths, name.length, -1);
    add(grants.methods, method, -1);
    this.#uncount(name);
  }

  #uncount(name: string): void {
    this.#count -= 1;
    this.#owner.audience.unsubscribed(latin1(name.split("\0")[1]!));
  }

  /** Undefined: there are too many. */
  #grants(key: string, id: string): Grants | undefined {
    const name = nameOf(key, id);
    const known = this.#granted.get(name);
    if (known || this.#granted.size >= maxConnections) return known;
    const grants = { syncs: 0, exact: new Set(), wide: new Set(), lengths: new Map(), methods: new Map() } as Grants;
    this.#granted.set(name, grants);
    return grants;
  }

  #tell({ principal, key }: Asker, { message }: Refusal): void {
    const who = principal?.name ?? (key === "" ? "somebody who has not said who it is" : `the key ${key}`);
    this.#owner.trouble("denied", () => `the subscriber ${escapeBytes(Buffer.from(who))} was denied: ${message}`);
  }
}

/** Whether a filter lets a topic through. */
function covers({ exact, wide, lengths }: Grants, name: string): boolean {
  if (exact.has(name)) return true;
  for (const length of lengths.keys()) if (wide.has(name.slice(0, length))) return true;
  return false;
}

function add<K>(counts: Map<K, number>, key: K, amount: number): void {
  const count = (counts.get(key) ?? 0) + amount;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}

function nameOf(key: string, id: string): string {
  return `${key}\n${id}`;
}

function latin1(topic: string): string {
  return Buffer.from(topic).toString("latin1");
}
