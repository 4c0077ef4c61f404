import { EventHeader } from "@zerobind/core";
import type { ParsedAddress } from "../address.ts";
import type { ZeromqSettings } from "../options.ts";
import { escapeBytes } from "../trouble.ts";
import { EventSource } from "./event-source.ts";
import type { SourceOwner } from "./event-source.ts";
import { exactNumber } from "./event-wire.ts";
import type { EventSubscription } from "./subscription.ts";
import { SyncRounds } from "./sync-rounds.ts";
import type { AnsweredItem, SyncOwner, SyncRequest } from "./sync-rounds.ts";
import type { EventRun, RemotePublisher, Track } from "./track.ts";
import type { Tracker } from "./tracker.ts";
import { joined, makeRequest } from "./wishes.ts";
import type { Wish } from "./wishes.ts";

/** A connection within the process that nobody answers so often is made anew: it does not do so by itself. */
const maxSilence = 3;
/** How long after a loss the publisher is told. */
const lossReportMs = 500;
/** Kept events that do not come are not waited for any longer. */
const replayWaitMs = 3_000;

const leastFrameBytes = 262_144;

/** What a port needs of its subscriber. */
export interface SubscriberPortOwner {
  readonly tracker: Tracker;
  readonly bare: boolean;
  readonly syncIntervalMs: number;
  readonly maxMessageBytes: number;
  readonly settings: ZeromqSettings;
  /** The filters that there are, as a number that grows. */
  readonly version: number;
  readonly methods: readonly string[];
  readonly subscriptions: ReadonlySet<EventSubscription>;
  readonly prefixes: readonly Buffer[];
  /** A message of a bare PUB. */
  bareMessage(frames: readonly Buffer[], address: string): string | undefined;
  /** Something that `ready` waits for may have happened. */
  progress(): void;
  /** No port hears this publisher any more, if no other does. */
  gone(publisher: RemotePublisher): void;
  trouble(kind: string, describe: () => string): void;
}

/** One address of a subscriber: its socket, its sync rounds, and what is to be asked for. */
export class SubscriberPort implements SourceOwner, SyncOwner<Wish> {
  readonly #owner: SubscriberPortOwner;
  readonly #rounds = new SyncRounds<Wish>(this);
  readonly #todo = new Set<Wish>();
  /** Publishers that were asked for everything, or will be. */
  readonly #introduced = new Set<RemotePublisher>();
  readonly #parsed: ParsedAddress;
  readonly #attach: "bind" | "connect";
  #source: EventSource;

  constructor(owner: SubscriberPortOwner, parsed: ParsedAddress, attach: "bind" | "connect") {
    this.#owner = owner;
    this.#parsed = parsed;
    this.#attach = attach;
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
    await this.#source.open(() => this.#owner.prefixes);
    if (!this.#owner.bare) this.#rounds.start();
    this.#owner.progress();
  }

  async close(): Promise<void> {
    this.#rounds.close();
    await this.#source.close();
  }

  /** Whether filters of a version are in place at everybody who is connected, and somebody is. */
  isReady(version: number): boolean {
    return this.#owner.bare ? this.#source.linked : this.#rounds.isProven(version);
  }

  provenCount(version: number): number {
    return this.#owner.bare ? Number(this.#source.linked) : this.#rounds.provenCount(version);
  }

  addFilter(prefix: Buffer): void {
    this.#source.subscribe(prefix);
  }

  removeFilter(prefix: Buffer): void {
    this.#source.unsubscribe(prefix);
  }

  /** A subscription came, its filter among those that are subscribed already. */
  added(subscription: EventSubscription): void {
    if (this.#owner.bare) return;
    this.#todo.add(subscription);
    this.#rounds.start();
  }

  removed(subscription: EventSubscription): void {
    this.#todo.delete(subscription);
    if (!this.#owner.bare) this.#rounds.startWithin(lossReportMs);
  }

  /** Events of a topic are missing. False: its publisher is not to be reached here. */
  recover(track: Track): boolean {
    if (!this.publishers.has(track.publisher)) return false;
    this.#todo.add(track);
    this.#rounds.start();
    return true;
  }

  /** Events of a publisher were lost. */
  lost(): void {
    this.#rounds.startWithin(lossReportMs);
  }

  message(frames: Buffer[]): void {
    const { bare, tracker } = this.#owner;
    const problem = bare ? this.#owner.bareMessage(frames, this.address) : tracker.message(frames, this.address);
    if (problem !== undefined) this.#malformed(frames, problem);
  }

  control(frames: Buffer[]): void {
    if (this.#owner.bare) return;
    let header: EventHeader | undefined;
    try {
      header = EventHeader.decode(frames[1] ?? Buffer.alloc(0));
    } catch {
      // Told below.
    }
    if (!header?.answer || header.epoch === 0n) return this.#malformed(frames, "is no answer to a sync");
    const publisher = this.#owner.tracker.publisher(header.epoch);
    if (!publisher) return this.#malformed(frames, "comes from one publisher too many");
    this.#rounds.answer(frames[0]!, publisher, header.answer, frames.slice(2));
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
    for (const subscription of this.#owner.subscriptions) this.#todo.add(subscription);
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

  answered(publisher: RemotePublisher, wishes: readonly Wish[], items: readonly AnsweredItem[]): void {
    const runs: EventRun[][] = wishes.map(() => []);
    for (const answered of joined(items)) this.#place(publisher, wishes, answered, runs);
    for (const [index, wish] of wishes.entries()) {
      if ("filter" in wish) wish.merge(publisher, runs[index]!);
      else if (wish.publisher !== publisher) continue;
      else this.#owner.tracker.recovered(wish, runs[index]!);
      this.#todo.delete(wish);
    }
    if (this.#introduced.has(publisher)) return;
    this.#introduced.add(publisher);
    for (const subscription of this.#owner.subscriptions)
      if (!subscription.done.has(publisher)) this.#todo.add(subscription);
  }

  proven(): void {
    this.#releaseReplays();
    this.#owner.progress();
  }

  gone(publisher: RemotePublisher): void {
    this.#introduced.delete(publisher);
    for (const wish of this.#todo) {
      if ("filter" in wish || wish.publisher !== publisher) continue;
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
      .open(() => this.#owner.prefixes)
      .catch((error: unknown) =>
        this.trouble("open", () => `${this.address}: cannot be reached again: ${String(error)}`),
      );
  }

  trouble(kind: string, describe: () => string): void {
    this.#owner.trouble(kind, describe);
  }

  #makeSource(): EventSource {
    const { settings, maxMessageBytes } = this.#owner;
    const source: EventSource = new EventSource(
      {
        message: (frames) => this.#source === source && this.message(frames),
        control: (frames) => this.#source === source && this.control(frames),
        connected: () => this.connected(),
        disconnected: () => this.disconnected(),
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
    if (!wish || !(sequence > 0) || !(start >= 0)) return;
    const method = "filter" in wish ? wish.template.path : wish.method;
    const track = this.#owner.tracker.position(publisher, method, item.topic, start, sequence + bodies.length);
    if (bodies.length > 0) runs[item.wish]!.push({ track, sequence, bodies, address: this.address });
  }

  #releaseReplays(): void {
    const beforeMs = performance.now() - replayWaitMs;
    for (const subscription of this.#owner.subscriptions) subscription.release(beforeMs);
  }

  #malformed(frames: readonly Buffer[], problem: string): void {
    this.trouble(
      "malformed",
      () => `${this.address}: a message on ${escapeBytes(frames[0]!)} was dropped because it ${problem}`,
    );
  }
}
