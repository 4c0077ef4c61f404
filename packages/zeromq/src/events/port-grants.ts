import type { ParsedAddress } from "../address.ts";
import type { Sealer } from "../curve/seal.ts";
import type { SubscriberPortOwner } from "./port-owner.ts";
import type { EventSubscription } from "./subscription.ts";
import type { RemotePublisher } from "./track.ts";
import type { Wish } from "./wishes.ts";

/** How soon publishers are asked again that have to think. */
const againMs = 100;

/** What the grants of a port need of it. */
interface GrantsPort {
  /** Takes in what begins with a prefix. */
  subscribe(prefix: Buffer): void;
  /** Wishes that were put off are to be asked again. */
  again(wishes: readonly Wish[]): void;
}

/**
 * What a port knows of publishers that decide who gets what: whether there are any, and which subscriptions they have
 * granted on the connection that there is now.
 */
export class PortGrants {
  readonly #owner: SubscriberPortOwner;
  readonly #port: GrantsPort;
  readonly #makeSealer: () => Sealer | undefined;
  readonly #granted = new Map<RemotePublisher, Set<EventSubscription>>();
  readonly #putOff = new Set<Wish>();
  /** For each publisher, the first version of filters that has one which is not granted; forgotten by every change. */
  readonly #complete = new Map<RemotePublisher, number>();
  #timer: NodeJS.Timeout | undefined;
  #sealer: Sealer | undefined;
  #isGuarded = false;

  constructor(
    owner: SubscriberPortOwner,
    port: GrantsPort,
    { address, scheme }: ParsedAddress,
    attach: "bind" | "connect",
  ) {
    this.#owner = owner;
    this.#port = port;
    const isSecured = scheme !== "inproc" && attach === "connect";
    this.#makeSealer = () => (isSecured ? owner.settings.curve.client?.sealer(address) : undefined);
  }

  /** What is to be subscribed for publishers that decide, once there was one. */
  get prefixes(): Buffer[] {
    return this.#isGuarded ? this.#owner.filters.guarded.map(({ prefix }) => prefix) : [];
  }

  get isGuarded(): boolean {
    return this.#isGuarded;
  }

  /** A publisher has said that it decides. */
  guard(): void {
    if (this.#isGuarded) return;
    this.#isGuarded = true;
    this.#sealer = this.#makeSealer();
    for (const prefix of this.prefixes) this.#port.subscribe(prefix);
  }

  /** Says who asks, if somebody wants to know. */
  seal(topic: Buffer): Buffer {
    return this.#sealer?.seal(topic) ?? topic;
  }

  grant(publisher: RemotePublisher, subscription: EventSubscription): void {
    let among = this.#granted.get(publisher);
    if (!among) this.#granted.set(publisher, (among = new Set()));
    among.add(subscription);
    this.changed();
  }

  /** Whether a publisher has granted a subscription, or need not do so. */
  has(publisher: RemotePublisher, subscription: EventSubscription): boolean {
    return !publisher.authorizes || this.#granted.get(publisher)?.has(subscription) === true;
  }

  /** Subscriptions came or went. */
  changed(): void {
    this.#complete.clear();
  }

  /** Whether a publisher has granted all filters of a version, or need not do so. */
  covers(publisher: RemotePublisher, version: number): boolean {
    if (!publisher.authorizes) return true;
    let first = this.#complete.get(publisher);
    if (first === undefined) {
      first = Infinity;
      const granted = this.#granted.get(publisher);
      for (const subscription of this.#owner.subscriptions)
        if (subscription.version < first && granted?.has(subscription) !== true) first = subscription.version;
      this.#complete.set(publisher, first);
    }
    return version < first;
  }

  /** To be asked again a little later. */
  putOff(wish: Wish): void {
    this.#putOff.add(wish);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const wishes = [...this.#putOff];
      this.#putOff.clear();
      this.#port.again(wishes);
    }, againMs);
  }

  /** A wish is over. */
  drop(wish: Wish): void {
    this.#putOff.delete(wish);
    if ("filter" in wish) for (const among of this.#granted.values()) among.delete(wish);
    this.changed();
  }

  /** A connection was made anew: nothing is granted on it yet. */
  forget(): void {
    this.#granted.clear();
    this.changed();
  }

  gone(publisher: RemotePublisher): void {
    this.#granted.delete(publisher);
    this.changed();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#putOff.clear();
  }
}
