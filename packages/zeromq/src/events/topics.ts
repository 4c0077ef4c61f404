import { eventHeader, guardedTopic, headerStart } from "./event-wire.ts";

/** How much of what was published is kept for those who come later, or missed it. */
export interface KeepPlan {
  /** For each topic; 0: nothing. */
  readonly events: number;
  /** For all topics together; the last event of each topic does not count if `lastValue` says so. */
  readonly bytes: number;
  readonly lastValue: boolean;
}

/** What is known of a topic that was published on. */
export class TopicState {
  readonly topic: string;
  /** The topic as its frame. */
  readonly frame: Buffer;
  readonly #headerStart: Buffer;
  readonly start: number;
  /** The number of the next event. */
  next = 1;
  /** Events of this turn, which have their numbers and were not sent yet. */
  pending: Uint8Array[] = [];
  pendingBytes = 0;
  /** The last events, oldest first; the newest has the number `next - 1`. */
  readonly kept: Uint8Array[] = [];
  /** How many beats told of the last event, and when the next one is due. */
  beats = 0;
  beatMs = 0;

  /** `isGuarded`: it goes only to those that may have it. */
  constructor(epoch: bigint, method: string, topic: string, start: number, isGuarded: boolean) {
    this.topic = topic;
    this.frame = isGuarded ? guardedTopic(method, topic, true) : Buffer.from(topic);
    this.start = start;
    this.#headerStart = headerStart(epoch, method, start);
  }

  header(sequence: number): Buffer {
    return eventHeader(this.#headerStart, sequence);
  }
}

/** The topics of one method, those published on last at the end. Beyond `maxTopics`, the first is forgotten. */
export class TopicTable {
  readonly method: string;
  /** What all its topics begin with. */
  readonly prefix: string;
  readonly #topics = new Map<string, TopicState>();
  readonly #make: (topic: string) => TopicState;
  readonly #maxTopics: number;
  readonly #forget: (state: TopicState) => void;

  constructor(
    method: string,
    prefix: string,
    maxTopics: number,
    make: (topic: string) => TopicState,
    forget: (state: TopicState) => void,
  ) {
    this.method = method;
    this.prefix = prefix;
    this.#maxTopics = maxTopics;
    this.#make = make;
    this.#forget = forget;
  }

  get size(): number {
    return this.#topics.size;
  }

  /** The topic to publish on, which becomes the one that is forgotten last. */
  touch(topic: string): TopicState {
    let state = this.#topics.get(topic);
    // Once per batch is often enough.
    if (state && state.pending.length > 0) return state;
    if (state) this.#topics.delete(topic);
    else state = this.#make(topic);
    this.#topics.set(topic, state);
    if (this.#topics.size > this.#maxTopics) this.#drop();
    return state;
  }

  find(topic: string): TopicState | undefined {
    return this.#topics.get(topic);
  }

  /** The topics with a prefix. */
  *matching(prefix: string): Iterable<TopicState> {
    const all = prefix.length <= this.prefix.length;
    for (const state of this.#topics.values()) if (all || state.topic.startsWith(prefix)) yield state;
  }

  #drop(): void {
    for (const [topic, state] of this.#topics) {
      this.#topics.delete(topic);
      this.#forget(state);
      return;
    }
  }
}

/** Keeps the last events of topics, within a number for each and a number of bytes for all. */
export class KeptEvents {
  readonly #plan: KeepPlan;
  readonly #perTopic: number;
  /** Events of each topic that stay whatever the bytes are. */
  readonly #floor: number;
  /** Topics that have more than the floor, those published on last at the end. */
  readonly #holders = new Set<TopicState>();
  #bytes = 0;

  constructor(plan: KeepPlan) {
    this.#plan = plan;
    this.#floor = plan.lastValue ? 1 : 0;
    this.#perTopic = Math.max(plan.events, this.#floor);
  }

  get enabled(): boolean {
    return this.#perTopic > 0;
  }

  /** Bytes of all events that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  keep(state: TopicState, body: Uint8Array): void {
    if (this.#perTopic === 0) return;
    state.kept.push(body);
    this.#bytes += body.length;
    if (state.kept.length > this.#perTopic) this.#dropOldest(state);
    if (state.kept.length <= this.#floor) return;
    this.#holders.delete(state);
    this.#holders.add(state);
    if (this.#bytes > this.#plan.bytes) this.#shrink();
  }

  /** The topic is forgotten. */
  forget(state: TopicState): void {
    for (const body of state.kept) this.#bytes -= body.length;
    state.kept.length = 0;
    this.#holders.delete(state);
  }

  #shrink(): void {
    for (const holder of this.#holders) {
      while (this.#bytes > this.#plan.bytes && holder.kept.length > this.#floor) this.#dropOldest(holder);
      if (holder.kept.length <= this.#floor) this.#holders.delete(holder);
      if (this.#bytes <= this.#plan.bytes) return;
    }
  }

  #dropOldest(state: TopicState): void {
    this.#bytes -= state.kept.shift()?.length ?? 0;
  }
}
