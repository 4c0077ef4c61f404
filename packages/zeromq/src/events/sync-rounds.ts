import type { EventAnswer, EventItem, EventRefusal, EventRequest } from "@zerobind/core";
import { syncTopic } from "./event-wire.ts";
import type { RemotePublisher } from "./track.ts";

/** How long other publishers get to answer after the first one, before they are taken for gone. */
const graceMs = 1_000;
/** How long it takes until a sync that nobody answered is made anew; doubles each time. */
const retryMinMs = 250;
const retryMaxMs = 5_000;
/** Kept events of one answer; more cannot be from a publisher that keeps to its limits. */
const maxAnswerBytes = 256 * 2 ** 20;
/** What an item costs beyond its topic and bodies, about. */
const itemCostBytes = 64;

/** An item of an answer with its bodies. */
export interface AnsweredItem {
  readonly item: EventItem;
  readonly bodies: readonly Buffer[];
}

/** What a sync asks for; `wishes` is for whoever made the request, to know the answer by. */
export interface SyncRequest<Wish> {
  readonly request: EventRequest;
  readonly wishes: readonly Wish[];
}

/** What the rounds need of the connection whose they are. */
export interface SyncOwner<Wish> {
  readonly syncIntervalMs: number;
  /** A sync topic, with a seal if publishers want one. */
  seal(topic: Buffer): Buffer;
  subscribe(topic: Buffer): void;
  unsubscribe(topic: Buffer): void;
  /** The filters that are subscribed now, as a number that grows. */
  readonly version: number;
  /** Whether something is to be asked for. */
  readonly hasWishes: boolean;
  /** Tells the publishers that have proven that they hear this connection what is wanted. */
  request(proven: readonly RemotePublisher[]): SyncRequest<Wish>;
  answered(
    publisher: RemotePublisher,
    wishes: readonly Wish[],
    items: readonly AnsweredItem[],
    refusals: readonly EventRefusal[],
  ): void;
  /** The filters of a version are in place at all publishers that are known. */
  proven(): void;
  /** A connection was made anew: what came before may have been lost. */
  remade(): void;
  /** The publisher is not to be heard any more. */
  gone(publisher: RemotePublisher): void;
  /** Nobody answered so many syncs in a row. */
  silent(times: number): void;
}

interface Round<Wish> {
  readonly topic: Buffer;
  readonly version: number;
  readonly wishes: readonly Wish[];
  /** Publishers that were certainly connected when it was subscribed, so that it came to them after all filters. */
  readonly inOrder: Set<RemotePublisher>;
  readonly answered: Set<RemotePublisher>;
  readonly parts: Map<RemotePublisher, { next: number; bytes: number; items: AnsweredItem[] }>;
}

/**
 * How a connection finds out that its filters are in place: it subscribes to a fresh topic, and publishers answer on it.
 *
 * Subscriptions travel in order, so whoever answers has seen all filters that were subscribed before, with one
 * exception: when a connection is made (anew), ZeroMQ sends all subscriptions sorted by their bytes, and sync topics
 * come first. Hence an answer counts only from a publisher that has answered the sync before, on the same connection.
 * That one stays subscribed until the next one is answered: if the connection was made anew in between, it is sent
 * again, before the newer one, and the second answer to it tells.
 */
export class SyncRounds<Wish> {
  readonly #owner: SyncOwner<Wish>;
  readonly #id: Uint8Array;
  readonly #known = new Set<RemotePublisher>();
  readonly #proven = new Map<RemotePublisher, number>();
  #number = 0;
  #current: Round<Wish> | undefined;
  #previous: Round<Wish> | undefined;
  #again = false;
  #unanswered = 0;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires, and how soon the next sync is wanted after the current one. */
  #dueMs = Infinity;
  #hurryMs = Infinity;
  #soon: NodeJS.Immediate | undefined;
  #closed = false;

  constructor(owner: SyncOwner<Wish>) {
    this.#owner = owner;
    this.#id = globalThis.crypto.getRandomValues(new Uint8Array(8));
  }

  /** Publishers that have answered and are not gone. */
  get publishers(): ReadonlySet<RemotePublisher> {
    return this.#known;
  }

  /** Publishers with whom the filters of a version are in place. */
  proven(version: number): RemotePublisher[] {
    return [...this.#proven].filter(([, proven]) => proven >= version).map(([publisher]) => publisher);
  }

  /** Whether all publishers that are connected, one at least, have the filters of a version in place. */
  isProven(version: number): boolean {
    const waited = [...this.#known].filter(({ suspect }) => !suspect);
    return waited.length > 0 && waited.every((publisher) => (this.#proven.get(publisher) ?? -1) >= version);
  }

  /** Filters have changed, something is to be asked for, or the connection was made: sync as soon as possible. */
  start(): void {
    this.#again = true;
    if (this.#current && this.#current.answered.size === 0 && this.#unanswered < 2) return;
    this.#soon ??= setImmediate(() => this.#next());
  }

  /** A sync within a time; what is planned earlier stays. */
  startWithin(ms: number): void {
    if (this.#closed) return;
    this.#hurryMs = Math.min(this.#hurryMs, ms);
    if (this.#isComplete && this.#missing.length === 0 && performance.now() + ms < this.#dueMs) this.#arm(ms);
  }

  /** A connection was made: what was subscribed so far is on its way out of order. */
  connected(): void {
    this.disconnected();
    this.#again = true;
    this.#soon ??= setImmediate(() => this.#next());
  }

  /** The connection was lost: no answer counts until it has been proven anew. */
  disconnected(): void {
    if (this.#known.size > 0) this.#owner.remade();
    this.#proven.clear();
    for (const round of [this.#current, this.#previous]) {
      round?.inOrder.clear();
      round?.answered.clear();
      round?.parts.clear();
    }
  }

  /** An answer on a sync topic. False: it belongs to nobody here. */
  answer(topic: Buffer, publisher: RemotePublisher, answer: EventAnswer, bodies: readonly Buffer[]): boolean {
    const round = [this.#current, this.#previous].find((each) => each?.topic.equals(topic));
    if (!round) return false;
    // A second answer: the connection to it was made anew in between.
    if (round.answered.delete(publisher)) {
      this.#owner.remade();
      this.#previous?.answered.delete(publisher);
      this.#current?.inOrder.delete(publisher);
      this.#proven.delete(publisher);
    }
    const items = collect(round, publisher, answer, bodies);
    if (!items) return true;
    round.answered.add(publisher);
    this.#known.add(publisher);
    this.#unanswered = 0;
    publisher.suspect = false;
    publisher.keepsEvents = answer.keepsEvents;
    if (round === this.#current && round.inOrder.has(publisher)) {
      this.#proven.set(publisher, round.version);
      this.#owner.answered(publisher, round.wishes, items, answer.refusals);
    } else this.#again = true;
    this.#afterAnswer();
    return true;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#soon);
  }

  /** Publishers that have not answered the current sync. */
  get #missing(): RemotePublisher[] {
    return [...this.#known].filter((each) => this.#current?.answered.has(each) !== true);
  }

  /** Whether all that are connected have answered the current sync. */
  get #isComplete(): boolean {
    return this.#known.size > 0 && this.#missing.every(({ suspect }) => suspect);
  }

  #afterAnswer(): void {
    if (!this.#isComplete) return this.#arm(graceMs);
    if (this.#again || this.#owner.hasWishes) this.#soon ??= setImmediate(() => this.#next());
    this.#arm(this.#missing.length > 0 ? graceMs : Math.min(this.#hurryMs, this.#owner.syncIntervalMs));
    this.#owner.proven();
  }

  #arm(ms: number): void {
    clearTimeout(this.#timer);
    this.#dueMs = performance.now() + ms;
    if (this.#closed || ms === Infinity) return;
    this.#timer = setTimeout(() => this.#expired(), Math.min(ms, 2 ** 31 - 1));
  }

  #expired(): void {
    const answered = this.#current?.answered.size ?? 0;
    if (answered === 0) this.#owner.silent(++this.#unanswered);
    const missing = answered === 0 ? [] : this.#missing;
    for (const publisher of missing) this.#drop(publisher);
    if (missing.length > 0) this.#afterAnswer();
    else this.#next();
  }

  #drop(publisher: RemotePublisher): void {
    this.#known.delete(publisher);
    this.#proven.delete(publisher);
    this.#owner.gone(publisher);
  }

  #next(): void {
    clearImmediate(this.#soon);
    this.#soon = undefined;
    if (this.#closed) return;
    this.#again = false;
    this.#hurryMs = Infinity;
    const retired = this.#retire();
    const inOrder = new Set(this.#previous?.answered);
    const { request, wishes } = this.#owner.request([...inOrder]);
    const topic = this.#owner.seal(syncTopic(this.#id, ++this.#number, request));
    const { version } = this.#owner;
    this.#current = { topic, version, wishes, inOrder, answered: new Set(), parts: new Map() };
    this.#owner.subscribe(topic);
    if (retired) this.#owner.unsubscribe(retired.topic);
    this.#arm(Math.min(retryMinMs * 2 ** Math.min(this.#unanswered, 10), retryMaxMs));
  }

  /** The round that was answered last stays subscribed; the other one goes. */
  #retire(): Round<Wish> | undefined {
    const current = this.#current;
    if (!current) return undefined;
    if (current.answered.size === 0 && this.#previous) return current;
    const gone = this.#previous;
    this.#previous = current;
    return gone;
  }
}

/** All items of an answer when its last part is here. */
function collect<Wish>(
  round: Round<Wish>,
  publisher: RemotePublisher,
  { part, last, items }: EventAnswer,
  bodies: readonly Buffer[],
): AnsweredItem[] | undefined {
  const known = round.parts.get(publisher) ?? { next: 0, bytes: 0, items: [] };
  if (part === 0) round.parts.set(publisher, Object.assign(known, { next: 0, bytes: 0, items: [] }));
  // A part was lost: the sync is not answered, and will be made anew.
  if (part !== known.next || known.bytes > maxAnswerBytes) return undefined;
  known.next++;
  let at = 0;
  for (const item of items) {
    known.items.push({ item, bodies: bodies.slice(at, at + item.count) });
    known.bytes += item.topic.length + itemCostBytes;
    at += item.count;
  }
  for (const body of bodies) known.bytes += body.length;
  if (!last) return undefined;
  round.parts.delete(publisher);
  return known.items;
}
