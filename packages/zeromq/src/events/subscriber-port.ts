import { RpcError, Status } from "@zerobind/core";
import type { EventRefusal } from "@zerobind/core";
import type { ParsedAddress } from "../address.ts";
import { EventSource } from "./event-source.ts";
import { exactNumber } from "./event-wire.ts";
import type { FilterChange } from "./filter-book.ts";
import { PortGrants } from "./port-grants.ts";
import { PortMessages } from "./port-messages.ts";
import type { SubscriberPortOwner } from "./port-owner.ts";
import type { EventSubscription } from "./subscription.ts";
import { SyncRounds } from "./sync-rounds.ts";
import type { AnsweredItem, SyncOwner, SyncRequest } from "./sync-rounds.ts";
import type { EventRun, RemotePublisher, Track } from "./track.ts";
import { joined, makeRequest } from "./wishes.ts";
import type { Wish } from "./wishes.ts";

/** A connection within the process that nobody answers so often is made anew: it does not do so by itself. */
const maxSilence = 3;
/** How long after a loss the publisher is told. */
const lossReportMs = 500;
/** Kept events that do not come are not waited for any longer. */
const replayWaitMs = 3_000;

const leastFrameBytes = 262_144;

/** One address of a subscriber: its socket, its sync rounds, and what is to be asked for. */
export class SubscriberPort implements SyncOwner<Wish> {
  readonly #owner: SubscriberPortOwner;
  readonly #rounds = new SyncRounds<Wish>(this);
  readonly #todo = new Set<Wish>();
  /** Publishers that were asked for everything, or will be. */
  readonly #introduced = new Set<RemotePublisher>();
  readonly #parsed: ParsedAddress;
  readonly #attach: "bind" | "connect";
  readonly #grants: PortGrants;
  readonly #messages: PortMessages;
  #source: EventSource;

  constructor(owner: SubscriberPortOwner, parsed: ParsedAddress, attach: "bind" | "connect") {
    this.#owner = owner;
    this.#parsed = parsed;
    this.#attach = attach;
    this.#grants = new PortGrants(
      owner,
      { subscribe: (prefix) => this.#source.subscribe(prefix), again: (wishes) => this.#ask(wishes) },
      parsed,
      attach,
    );
    this.#messages = new PortMessages(owner, this.#rounds, this.#grants, () => this.address);
    this.#source = this.#makeSource();
  }

  get address(): string {
    return this.#source.address;
  }

  get syncIntervalMs(): number {
    return this.#owner.syncIntervalMs;
  }

  get version(): number {
    return this.#owner.version;
  }

  get hasWishes(): boolean {
    return this.#todo.size > 0;
  }

  get publishers(): ReadonlySet<RemotePublisher> {
    return this.#rounds.publishers;
  }

  async open(): Promise<void> {
    await this.#source.open();
    if (!this.#owner.bare) this.#rounds.start();
    this.#owner.progress();
  }

  async close(): Promise<void> {
    this.#rounds.close();
    this.#grants.close();
    await this.#source.close();
  }

  /** Whether filters of a version are in place at everybody who is connected, and somebody is. */
  isReady(version: number): boolean {
    if (this.#owner.bare) return this.#source.linked;
    if (!this.#rounds.isProven(version)) return false;
    return [...this.publishers].every((each) => each.suspect || this.#grants.covers(each, version));
  }

  provenCount(version: number): number {
    if (this.#owner.bare) return Number(this.#source.linked);
    return this.#rounds.proven(version).filter((each) => this.#grants.covers(each, version)).length;
  }

  addFilter({ prefix, guarded }: FilterChange): void {
    if (prefix) this.#source.subscribe(prefix);
    if (guarded && this.#grants.isGuarded) this.#source.subscribe(guarded.prefix);
  }

  removeFilter({ prefix, guarded }: FilterChange): void {
    if (prefix) this.#source.unsubscribe(prefix);
    if (!guarded || !this.#grants.isGuarded) return;
    this.#source.unsubscribe(guarded.prefix);
    this.#todo.add({ ended: guarded });
  }

  /** A subscription came, its filter among those that are subscribed already. */
  added(subscription: EventSubscription): void {
    if (this.#owner.bare) return;
    this.#grants.changed();
    this.#ask([subscription]);
  }

  removed(subscription: EventSubscription): void {
    this.#todo.delete(subscription);
    this.#grants.drop(subscription);
    if (!this.#owner.bare) this.#rounds.startWithin(lossReportMs);
  }

  /** Events of a topic are missing. False: its publisher is not to be reached here. */
  recover(track: Track): boolean {
    if (!this.publishers.has(track.publisher)) return false;
    this.#ask([track]);
    return true;
  }

  /** Events of a publisher were lost. */
  lost(): void {
    this.#rounds.startWithin(lossReportMs);
  }

  connected(): void {
    if (!this.#owner.bare) this.#rounds.connected();
    this.#owner.progress();
  }

  disconnected(): void {
    if (this.#owner.bare) return;
    // Of several that may have connected to this end, it is not known which one is gone.
    if (this.#attach === "bind") return this.#rounds.connected();
    for (const publisher of this.publishers) publisher.suspect = true;
    this.#rounds.disconnected();
  }

  remade(): void {
    this.#grants.forget();
    for (const wish of this.#todo) if ("ended" in wish) this.#todo.delete(wish);
    for (const subscription of this.#owner.subscriptions) this.#todo.add(subscription);
  }

  seal(topic: Buffer): Buffer {
    return this.#grants.seal(topic);
  }

  subscribe(topic: Buffer): void {
    this.#source.subscribe(topic);
  }

  unsubscribe(topic: Buffer): void {
    this.#source.unsubscribe(topic);
  }

  request(proven: readonly RemotePublisher[]): SyncRequest<Wish> {
    return makeRequest(this.#todo, proven, this.publishers, this.#owner.methods);
  }

  answered(
    publisher: RemotePublisher,
    wishes: readonly Wish[],
    items: readonly AnsweredItem[],
    refusals: readonly EventRefusal[],
  ): void {
    const runs: EventRun[][] = wishes.map(() => []);
    for (const answered of joined(items)) this.#place(publisher, wishes, answered, runs);
    const refused = new Map(refusals.map((refusal) => [refusal.wish, refusal]));
    for (const [index, wish] of wishes.entries()) {
      if ("filter" in wish) this.#settle(publisher, wish, refused.get(index), runs[index]!);
      else if ("ended" in wish) this.#todo.delete(wish);
      else if (wish.publisher === publisher) {
        this.#todo.delete(wish);
        this.#owner.tracker.recovered(wish, runs[index]!);
      }
    }
    if (this.#introduced.has(publisher)) return;
    this.#introduced.add(publisher);
    for (const subscription of this.#owner.subscriptions)
      if (!subscription.done.has(publisher) || !this.#grants.has(publisher, subscription)) this.#todo.add(subscription);
  }

  proven(): void {
    this.#releaseReplays();
    this.#owner.progress();
  }

  gone(publisher: RemotePublisher): void {
    this.#introduced.delete(publisher);
    this.#grants.gone(publisher);
    for (const wish of this.#todo) {
      if ("filter" in wish || "ended" in wish || wish.publisher !== publisher) continue;
      this.#todo.delete(wish);
      this.#owner.tracker.recovered(wish, []);
    }
    this.#owner.gone(publisher);
    this.#owner.progress();
  }

  silent(times: number): void {
    this.#releaseReplays();
    if (times < maxSilence || this.#parsed.scheme !== "inproc" || this.#attach === "bind") return;
    for (const publisher of this.publishers) publisher.suspect = true;
    void this.#source.close();
    this.#source = this.#makeSource();
    this.#rounds.disconnected();
    this.#source
      .open()
      .catch((error: unknown) =>
        this.trouble("open", () => `${this.address}: cannot be reached again: ${String(error)}`),
      );
  }

  trouble(kind: string, describe: () => string): void {
    this.#owner.trouble(kind, describe);
  }

  #makeSource(): EventSource {
    const { settings, maxMessageBytes, filters } = this.#owner;
    const prefixes = (): Buffer[] => [...filters.prefixes, ...this.#grants.prefixes];
    const source: EventSource = new EventSource(
      {
        message: (frames) => this.#source === source && this.#messages.message(frames),
        control: (frames) => this.#source === source && this.#messages.control(frames),
        connected: () => this.connected(),
        disconnected: () => this.disconnected(),
        refused: (why) => this.#owner.refused(this.#parsed.address, why),
        get prefixes() {
          return prefixes();
        },
        trouble: (kind, describe) => this.trouble(kind, describe),
      },
      this.#parsed,
      this.#attach,
      settings,
      // Answers to syncs have to pass whatever the limit is.
      Math.max(maxMessageBytes, leastFrameBytes),
    );
    return source;
  }

  /** Notes where the topic of an item is, and its events with the wish that they answer. */
  #place(
    publisher: RemotePublisher,
    wishes: readonly Wish[],
    { item, bodies }: AnsweredItem,
    runs: EventRun[][],
  ): void {
    const wish = wishes[item.wish];
    const sequence = exactNumber(item.sequence);
    const start = exactNumber(item.start);
    if (!wish || "ended" in wish || !(sequence > 0) || !(start >= 0)) return;
    const method = "filter" in wish ? wish.template.path : wish.method;
    const track = this.#owner.tracker.position(publisher, method, item.topic, start, sequence + bodies.length);
    if (bodies.length > 0) runs[item.wish]!.push({ track, sequence, bodies, address: this.address });
  }

  #ask(wishes: readonly Wish[]): void {
    for (const wish of wishes) this.#todo.add(wish);
    this.#rounds.start();
  }

  /** A publisher has answered what a subscription asks for. */
  #settle(
    publisher: RemotePublisher,
    subscription: EventSubscription,
    refusal: EventRefusal | undefined,
    runs: readonly EventRun[],
  ): void {
    this.#todo.delete(subscription);
    if (!this.#owner.subscriptions.has(subscription)) return;
    if (refusal?.status === Status.UNAVAILABLE) return this.#grants.putOff(subscription);
    if (refusal) {
      const code = refusal.status === Status.UNAUTHENTICATED ? Status.UNAUTHENTICATED : Status.PERMISSION_DENIED;
      return subscription.fail(new RpcError(code, `${this.address}: ${refusal.message}`));
    }
    this.#grants.grant(publisher, subscription);
    subscription.merge(publisher, runs);
  }

  #releaseReplays(): void {
    const beforeMs = performance.now() - replayWaitMs;
    for (const subscription of this.#owner.subscriptions) subscription.release(beforeMs);
  }
}
