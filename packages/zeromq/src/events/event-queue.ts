import type { EventGap } from "@zerobind/core";
import type { Track } from "./track.ts";

/** Dropped events are told of by topic up to so many topics; those of more are told of together. */
const maxDroppedTopics = 1_000;

/** An event that waits to be taken. */
export interface QueuedEvent {
  readonly event: unknown;
  readonly track: Track;
  readonly sequence: number;
  readonly replayed: boolean;
  readonly address: string;
}

interface Dropped {
  readonly track: Track;
  from: number;
  to: number;
  count: number;
}

/** Events and gaps in the order in which they are to be taken. Beyond the limit the oldest go. */
export class EventQueue {
  readonly #max: number;
  readonly #tell: (gap: EventGap) => void;
  #items: (QueuedEvent | EventGap)[] = [];
  /** Where the first item is: to move all others for each that is taken would take long. */
  #first = 0;
  readonly #dropped = new Map<Track | undefined, Dropped>();

  /** `tell` is called for each gap that is taken, and for what was dropped before the next event is taken. */
  constructor(max: number, tell: (gap: EventGap) => void) {
    this.#max = max;
    this.#tell = tell;
  }

  get size(): number {
    return this.#items.length - this.#first;
  }

  /** Adds an event or a gap. Returns how many events were dropped for it. */
  push(item: QueuedEvent | EventGap): number {
    this.#items.push(item);
    return this.size > this.#max ? this.#drop() : 0;
  }

  /** The next event; the gaps before it are told. */
  take(): QueuedEvent | undefined {
    if (this.#dropped.size > 0) this.#tellDropped();
    while (this.size > 0) {
      const item = this.#shift();
      if ("event" in item) return item;
      this.#tell(item);
    }
    return undefined;
  }

  clear(): void {
    this.#items = [];
    this.#first = 0;
    this.#dropped.clear();
  }

  #shift(): QueuedEvent | EventGap {
    const item = this.#items[this.#first]!;
    this.#items[this.#first++] = undefined as never;
    if (this.#first === this.#items.length) {
      this.#items = [];
      this.#first = 0;
    } else if (this.#first >= 1024 && this.#first * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    return item;
  }

  #drop(): number {
    const item = this.#shift();
    if (!("event" in item)) {
      this.#tell(item);
      return 0;
    }
    const { track, sequence } = item;
    const key = this.#dropped.has(track) || this.#dropped.size < maxDroppedTopics ? track : undefined;
    const known = this.#dropped.get(key);
    if (!known) this.#dropped.set(key, { track, from: sequence, to: sequence, count: 1 });
    else {
      known.to = sequence;
      known.count++;
    }
    return 1;
  }

  #tellDropped(): void {
    const all = [...this.#dropped];
    this.#dropped.clear();
    for (const [key, { track, from, to, count }] of all) {
      const { method, publisher } = track;
      const gap = { method, epoch: publisher.name, count, reason: "buffer" } as const;
      this.#tell(key ? { ...gap, topic: track.topic, from, to } : { ...gap, topic: "", from: 0, to: 0 });
    }
  }
}
